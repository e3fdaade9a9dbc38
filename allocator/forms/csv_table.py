"""CSV for spreadsheets: one row a module. A cell that a spreadsheet would run is quoted by `'`."""

import csv
import io

from allocator.errors import UnreadablePlan
from allocator.forms.draft import Draft, Reading
from allocator.forms.export import Export
from allocator.forms.nearest import Compromise
from allocator.forms.sheet import COLUMNS, MOST_ROWS, TEXT, draft_of, rows_of
from allocator.forms.texts import Files, as_text, only
from allocator.plan import Plan

CSV_FILE = "plan.csv"
_RUN = ("=", "+", "-", "@", "\t", "\r", "\n", "'", " ")
"""How a cell begins that a spreadsheet runs or changes; `'` itself, so that it can be undone."""


def write(plan: Plan, compromise: Compromise) -> Export:
    """The table with a header. Raises NotExpressible."""
    out = io.StringIO(newline="")
    writer = csv.writer(out, quoting=csv.QUOTE_NONNUMERIC, lineterminator="\n")
    writer.writerow(COLUMNS)
    for row in rows_of(plan):
        writer.writerow(
            [_harmless(row[name]) if name in TEXT else _bare(row[name]) for name in COLUMNS]
        )
    return Export(target="csv", files={CSV_FILE: out.getvalue()})


def read(files: Files, reading: Reading) -> Draft:
    """The table, with commas, or with semicolons as some spreadsheets save it."""
    text = as_text(only(files, "csv"))
    header = text.partition("\n")[0]
    comma = ";" if ";" in header and "," not in header else ","
    rows: list[dict[str, str]] = []
    try:
        for row in csv.DictReader(io.StringIO(text, newline=""), delimiter=comma, strict=True):
            if len(rows) == MOST_ROWS:
                raise UnreadablePlan(f"the table has more than {MOST_ROWS} rows; is it a plan?")
            if None in row or None in row.values():
                raise UnreadablePlan("a row of the table has more or fewer cells than its header")
            rows.append({**row, **{name: _plain(row[name]) for name in TEXT if name in row}})
    except csv.Error as error:
        raise UnreadablePlan(f"the file is not CSV: {error}; is it another form?") from error
    return draft_of(rows, reading)


def _harmless(cell: str) -> str:
    return f"'{cell}" if cell.startswith(_RUN) else cell


def _plain(cell: str) -> str:
    return cell.removeprefix("'")


def _bare(cell: str) -> str | int | float:
    """A number as such, so that it is written without quotes."""
    if cell.isdecimal():
        return int(cell)
    try:
        return float(cell)
    except ValueError:
        return cell
