"""A notebook as a page: its text, code and the outputs that it was saved with."""

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any


def notebook_page(path: Path) -> str:
    """Markdown of a notebook (nbformat 4)."""
    cells = json.loads(path.read_text(encoding="utf-8"))["cells"]
    return "\n".join(part for cell in cells for part in _cell(cell))


def _cell(cell: Mapping[str, Any]) -> Iterator[str]:
    text = "".join(cell["source"])
    if cell["cell_type"] == "markdown":
        yield f"{text}\n"
    else:
        yield f"```python\n{text}\n```\n"
        for output in cell.get("outputs", ()):
            shown = output.get("text") or output.get("data", {}).get("text/plain", [])
            yield f"```text\n{''.join(shown).rstrip()}\n```\n"
