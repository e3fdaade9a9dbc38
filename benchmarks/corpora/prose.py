"""Running text: docstrings of Python's standard library by module, and licences by paragraph."""

import ast
import re
import sysconfig
from collections.abc import Iterator
from pathlib import Path

from benchmarks.corpora.entries import Entry

LICENCES = Path("/usr/share/common-licenses")
SHORTEST = 80
"""Characters."""

_LEFT_OUT = {"site-packages", "test", "tests", "idlelib", "lib2to3", "__pycache__"}
_DOCUMENTED = (ast.Module, ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)


def docstrings(root: Path | None = None) -> Iterator[Entry]:
    """An entry for each docstring below `root`, the standard library; its module is the source."""
    root = root or Path(sysconfig.get_path("stdlib"))
    for file in sorted(root.rglob("*.py")):
        inside = file.relative_to(root)
        if _LEFT_OUT.intersection(inside.parts):
            continue
        try:
            tree = ast.parse(file.read_bytes())
        except (SyntaxError, ValueError):  # kept there on purpose, as bad examples
            continue
        for node in ast.walk(tree):
            text = ast.get_docstring(node) if isinstance(node, _DOCUMENTED) else None
            if text and len(text := text.strip()) >= SHORTEST:
                yield Entry(inside.as_posix(), text)


def licences(folder: Path = LICENCES) -> Iterator[Entry]:
    """An entry for each paragraph of the licences that Debian ships; none elsewhere."""
    for file in sorted(folder.glob("*")):
        for paragraph in re.split(r"\n\s*\n", file.read_text(encoding="utf-8", errors="replace")):
            text = " ".join(paragraph.split())
            if len(text) >= SHORTEST:
                yield Entry(f"licence {file.name.partition('-')[0]}", text)
