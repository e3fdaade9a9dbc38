"""The site builds without a warning, and a page with a fault does not."""

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from scripts.manual.build import DOCS, REFERENCE, ROOT
from scripts.manual.origins import foreign

FAULTS = {
    "[there](missing.md)": "missing.md",
    "[there](other.md#no-such-heading)": "no-such-heading",
    "[there](#nor-this)": "nor-this",
    "![there](https://example.org/there.png)": "would load https://example.org/there.png",
}
"""What a page may hold, and words of what is said of it."""


@pytest.fixture(scope="module")
def site(tmp_path_factory) -> Path:
    out = tmp_path_factory.mktemp("site")
    built = subprocess.run(
        [sys.executable, "-m", "scripts.manual", str(out)], cwd=ROOT, capture_output=True, text=True
    )
    assert built.returncode == 0, built.stderr + built.stdout
    return out


def test_every_page_is_built_and_led_to(site):
    names = [path.stem for path in (*DOCS.glob("*.md"), *DOCS.glob("*.ipynb"))]
    pages = [*names, *(f"reference/{name}" for name in REFERENCE)]
    index = (site / "index.html").read_text()
    for page in pages:
        assert (site / f"{page}.html").stat().st_size > 1000
        assert page == "index" or f'href="{page}.html"' in index, f"docs/index.md leaves out {page}"


def test_nothing_is_loaded_from_another_origin(site):
    assert foreign(site) == []
    assert len(list(site.rglob("*.html"))) > 20


def test_every_fault_of_a_page_is_told(tmp_path):
    source = tmp_path / "source"
    source.mkdir()
    shutil.copy(DOCS / "conf.py", source)
    links = "\n\n".join(["[there](other.md#there)", *FAULTS])
    (source / "index.md").write_text(f"# Index\n\n{links}\n\n```{{toctree}}\nother\n```\n")
    (source / "other.md").write_text("# Other\n\n## There\n")
    done = subprocess.run(
        [sys.executable, "-m", "scripts.manual.render", str(source), str(tmp_path / "out")],
        cwd=ROOT, capture_output=True, text=True,
    )  # fmt: skip
    assert done.returncode == 1
    lines = [line for line in done.stderr.splitlines() if "WARNING" in line or "load" in line]
    assert len(lines) == len(FAULTS), done.stderr
    for says in FAULTS.values():
        assert sum(says in line for line in lines) == 1


@pytest.mark.parametrize(
    ("name", "text", "found"),
    [
        ("a.html", '<script src="https://cdn.example.org/a.js"></script>', 1),
        ("a.html", '<link rel="stylesheet" href="//fonts.example.org/css">', 1),
        ("a.html", '<p style="background: url(https://example.org/a.png)">', 1),
        ("a.html", '<a href="https://example.org/">a link is followed, not loaded</a>', 0),
        ("a.html", '<script src="_static/a.js"></script>', 0),
        ("a.css", '@import "https://fonts.example.org/a.css";', 1),
        ("a.css", "p { background: url(a.png) } /* https://example.org */", 0),
        ("a.js", 'import("https://cdn.example.org/a.js")', 1),
        ("a.js", "// see https://example.org", 0),
    ],
)
def test_what_a_browser_would_load(tmp_path, name, text, found):
    (tmp_path / name).write_text(text)
    assert len(foreign(tmp_path)) == found
