"""The form of a file's rows, by its beginning: a file may be large."""

import csv
import json
from importlib import import_module
from itertools import islice
from pathlib import Path

from analyzer.text import shown
from trainer.dataset.columns import NEEDED, Form, fits, form_of
from trainer.dataset.read import read_rows

_WRONG = (
    OSError, ValueError, LookupError, TypeError, AttributeError, RecursionError, ImportError,
    StopIteration, csv.Error,
)  # fmt: skip
_ROWS = 1000
"""Of a .jsonl file, whose rows may lack columns."""


def form_at(place: str) -> Form:
    """The form of a file or a saved dataset, by its header or its first thousand rows.

    Where these tell none, the whole is read. Raises InvalidData like `read_rows` and `form_of`.
    """
    columns = _beginning(Path(place))
    if not any(fits(form, columns) for form in NEEDED):
        columns = read_rows(place).columns
    return form_of(columns, place=shown(place))


def _beginning(path: Path) -> tuple[str, ...]:
    """Columns as far as they can be told; what is wrong with a file is told by who reads it."""
    suffix = path.suffix.lower()
    try:
        if path.is_dir():
            return tuple(json.loads((path / "dataset_info.json").read_bytes())["features"])
        if suffix == ".parquet":
            return tuple(import_module("pyarrow.parquet").read_schema(path).names)
        if suffix == ".jsonl":
            return _of_lines(path)
        if suffix == ".csv":
            return _of_table(path)
    except _WRONG:
        return ()
    return ()


def _of_lines(path: Path) -> tuple[str, ...]:
    with path.open(encoding="utf-8-sig", newline="\n") as stream:
        rows = islice((json.loads(line) for line in stream if line.strip()), _ROWS)
        return tuple(dict.fromkeys(column for row in rows for column in dict(row)))


def _of_table(path: Path) -> tuple[str, ...]:
    with path.open(encoding="utf-8-sig", newline="") as stream:
        lines = (fields for fields in csv.reader(stream, strict=True) if fields)
        header, _ = next(lines), next(lines)
        return tuple(header)
