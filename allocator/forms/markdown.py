"""Markdown for reports: one row a module. What would be markup in a name is escaped."""

import re
from collections.abc import Sequence

from allocator.errors import UnreadablePlan
from allocator.forms.draft import Draft, Reading
from allocator.forms.export import Export
from allocator.forms.nearest import Compromise
from allocator.forms.sheet import COLUMNS, MOST_ROWS, TEXT, draft_of, rows_of
from allocator.forms.texts import Files, as_text, only
from allocator.plan import Plan

MARKDOWN_FILE = "plan.md"
_MARKUP = re.compile(r"[\\|`*\[\]<>&~#!]|^_|_$")
_ESCAPED = re.compile(r"\\([!-/:-@\[-`{-~])|&#([0-9]{1,7});")
_CELL = re.compile(r"(?<!\\)(?:\\\\)*\|")


def write(plan: Plan, compromise: Compromise) -> Export:
    """A pipe table, names to the left, numbers to the right. Raises NotExpressible."""
    lines = [COLUMNS, ["---" if name in TEXT else "---:" for name in COLUMNS]]
    for row in rows_of(plan):
        lines.append([_escaped(row[name]) if name in TEXT else row[name] for name in COLUMNS])
    text = "".join(f"| {' | '.join(cells)} |\n" for cells in lines)
    return Export(target="markdown", files={MARKDOWN_FILE: text})


def read(files: Files, reading: Reading) -> Draft:
    """The first table with a column `experts`, whatever stands around it. Raises UnreadablePlan."""
    lines = as_text(only(files, "markdown")).split("\n")
    header: Sequence[str] | None = None
    rows: list[dict[str, str]] = []
    for line in lines:
        if not line.lstrip().startswith("|"):
            if rows:
                break
            continue
        cells = _cells(line)
        if header is None:
            header = cells if "experts" in cells else None
        elif len(cells) != len(header):
            raise UnreadablePlan("a row of the table has more or fewer cells than its header")
        elif not all(re.fullmatch(r":?-+:?", cell) for cell in cells):
            rows.append(dict(zip(header, cells, strict=True)))
        if len(rows) > MOST_ROWS:
            raise UnreadablePlan(f"the table has more than {MOST_ROWS} rows; is it a plan?")
    return draft_of(rows, reading)


def _escaped(name: str) -> str:
    marked = _MARKUP.sub(lambda found: f"\\{found.group()}", name)
    last = len(marked) - 1
    return "".join(
        f"&#{ord(letter)};"
        if not letter.isprintable() or (letter == " " and at in (0, last))
        else letter
        for at, letter in enumerate(marked)
    )


def _cells(line: str) -> list[str]:
    """The cells of a row, unescaped."""
    cells, start = [], 0
    row = line.strip().removeprefix("|")
    for found in _CELL.finditer(row):
        cells.append(row[start : found.end() - 1])
        start = found.end()
    return [_unescaped(cell.strip(" \t\r")) for cell in cells]


def _unescaped(cell: str) -> str:
    return _ESCAPED.sub(
        lambda found: found.group(1) or chr(min(int(found.group(2)), 0x10FFFF)), cell
    )
