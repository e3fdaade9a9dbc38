"""The pages of docs/ and those that are made from the code, built by Sphinx."""

import json
import shutil
import sys
import tempfile
from collections.abc import Callable, Mapping
from pathlib import Path

from scripts.manual.commands import command_page
from scripts.manual.endpoints import endpoint_page
from scripts.manual.notebook import notebook_page
from scripts.manual.origins import foreign
from scripts.manual.records import error_page, metric_page, setting_page
from scripts.manual.schemas import schema_page

ROOT = Path(__file__).parents[2]
DOCS = ROOT / "docs"
REFERENCE: Mapping[str, Callable[[], str]] = {
    "cli": command_page,
    "api": lambda: endpoint_page(json.loads((DOCS / "openapi.json").read_text(encoding="utf-8"))),
    "settings": setting_page,
    "errors": error_page,
    "metrics": metric_page,
    "schemas": lambda: schema_page(DOCS / "schema"),
}
"""The pages of the reference by name; each call makes one as Markdown."""


def assemble(source: Path) -> None:
    """Copy docs/ to `source`, a new folder, and write there what is made from the code."""
    shutil.copytree(DOCS, source)
    (source / "reference").mkdir()
    for name, make in REFERENCE.items():
        (source / "reference" / f"{name}.md").write_text(make(), encoding="utf-8")
    for notebook in source.glob("*.ipynb"):
        notebook.with_suffix(".md").write_text(notebook_page(notebook), encoding="utf-8")


def build(out: Path) -> bool:
    """Write the site to `out`; whether no page has a fault."""
    with tempfile.TemporaryDirectory() as folder:
        source = Path(folder) / "source"
        assemble(source)
        return render(source, out)


def render(source: Path, out: Path) -> bool:
    """Build the pages of `source`; whether none has a fault, all of which are printed.

    Faults are warnings of Sphinx, among them links to pages and headings that are not there, and
    whatever a browser would load from another origin. Links to other sites are not followed.
    """
    from sphinx.cmd.build import build_main

    with tempfile.TemporaryDirectory() as doctrees:
        words = ["-b", "html", "-q", "-n", "-W", "--keep-going", "-E", "-d", doctrees]
        failed = build_main([*words, str(source), str(out)])
    loaded = foreign(out)
    for page, address in loaded:
        sys.stderr.write(f"{page}: a browser would load {address}\n")
    return not failed and not loaded
