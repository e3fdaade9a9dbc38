"""The pages of docs/ and those that are made from the code, as a site."""

import json
import shutil
import tempfile
from collections.abc import Callable, Mapping
from pathlib import Path

from scripts.manual.commands import command_page
from scripts.manual.endpoints import endpoint_page
from scripts.manual.notebook import notebook_page
from scripts.manual.records import error_page, metric_page, setting_page
from scripts.manual.render import render
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
