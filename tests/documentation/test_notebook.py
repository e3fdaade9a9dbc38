"""The notebook runs from top to bottom, and shows what it was saved with."""

import ast
import re
from pathlib import Path

import nbformat
import pytest
from nbclient import NotebookClient

from scripts.manual.notebook import notebook_page

NOTEBOOK = Path(__file__).parents[2] / "docs" / "notebook.ipynb"


def shown(cell) -> str:
    """Its outputs as one text."""
    return "".join(
        output.get("text") or output.get("data", {}).get("text/plain", "")
        for output in cell.outputs
    )


def test_its_page_has_every_cell_and_output():
    page = notebook_page(NOTEBOOK)
    cells = nbformat.read(NOTEBOOK, as_version=4).cells
    assert len(cells) > 15
    for cell in cells:
        assert cell.source in page
        if cell.cell_type == "code":
            assert all(line.rstrip() in page for line in shown(cell).splitlines())


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::ResourceWarning")
def test_it_runs_and_shows_what_was_saved(minilm, own_cache):
    saved = nbformat.read(NOTEBOOK, as_version=4)
    run = nbformat.read(NOTEBOOK, as_version=4)
    NotebookClient(run, timeout=300, kernel_name="python3").execute()
    code = [
        (before, after)
        for before, after in zip(saved.cells, run.cells, strict=True)
        if before.cell_type == "code"
    ]
    for before, after in code:
        assert shown(after) == shown(before), before.source
    readme = (NOTEBOOK.parents[1] / "README.md").read_text()
    counts = re.search(r"experts: ([\d ]+)\n", readme)
    plans = re.findall(r"^ +30 (\(.*\))$", "\n".join(shown(after) for _, after in code), re.M)
    assert [ast.literal_eval(plan) for plan in plans] == [tuple(map(int, counts[1].split()))]
