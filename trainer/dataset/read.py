"""Files of rows: .jsonl and .csv by the standard library, .parquet and folders by `datasets`."""

import csv
import io
import json
import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from analyzer.text import listed, shown
from trainer.dataset.arrow import read_folder, read_parquet
from trainer.errors import InvalidData

Row = Mapping[str, Any]
_WORKS = "a .jsonl, .csv or .parquet file, or a folder written by `Dataset.save_to_disk`"


@dataclass(frozen=True)
class Rows:
    """The rows of a file, in its order."""

    name: str
    """The file, as messages show it."""

    columns: tuple[str, ...]
    """In order of appearance; a row of a .jsonl file may lack some."""

    rows: Sequence[Row]
    numbers: Sequence[int]
    """For each row its line in a .jsonl file; else its number, 1 for the first."""

    unit: Literal["line", "row"]

    def where(self, index: int) -> str:
        """How a message names a row: `line 3 of data.jsonl`."""
        return f"{self.unit} {self.numbers[index]} of {self.name}"


def read_rows(place: str | Path) -> Rows:
    """The rows of a file or of a saved dataset.

    Raises InvalidData, with the file, the line and what to do, where it cannot be read, is no
    UTF-8, has a line that is no JSON object, holds no row, or is of a kind that is not known.
    """
    path = Path(place)
    name, suffix = shown(path), path.suffix.lower()
    if not path.exists():
        raise InvalidData(f"cannot read {name}: no such file or folder; give {_WORKS}")
    if path.is_dir():
        found = _numbered(name, *read_folder(path))
    elif suffix == ".jsonl":
        found = _read_jsonl(name, _text(path))
    elif suffix == ".csv":
        found = _numbered(name, *_read_csv(name, _text(path)))
    elif suffix == ".parquet":
        found = _numbered(name, *read_parquet(path))
    else:
        raise InvalidData(f"{name} is of a kind that cannot be read; give {_WORKS}")
    if not found.rows:
        raise InvalidData(f"{name} holds no rows; give a file with at least two")
    return found


def _numbered(name: str, columns: Iterable[str], rows: list[Row]) -> Rows:
    return Rows(name, tuple(columns), rows, range(1, len(rows) + 1), "row")


def _text(path: Path) -> str:
    try:
        content = path.read_bytes()
    except OSError as error:
        raise InvalidData(f"cannot read {shown(path)}: {error.strerror}; give {_WORKS}") from error
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        # `error.object` is what was decoded: the content without the mark at its beginning
        line = error.object.count(b"\n", 0, error.start) + 1
        raise InvalidData(
            f"line {line} of {shown(path)} is not UTF-8; convert the file to UTF-8"
        ) from error


def _read_jsonl(name: str, content: str) -> Rows:
    """Lines end at line feeds alone: JSON may hold other characters that Python splits at."""
    lines = ((number, line) for number, line in enumerate(content.split("\n"), 1) if line.strip())
    pairs = [(number, _object(f"line {number} of {name}", line)) for number, line in lines]
    columns = dict.fromkeys(column for _, row in pairs for column in row)
    rows, numbers = [row for _, row in pairs], [number for number, _ in pairs]
    return Rows(name, tuple(columns), rows, numbers, "line")


def _object(where: str, line: str) -> Row:
    try:
        row = json.loads(line)
        if "\\u" in line:
            json.dumps(row, ensure_ascii=False).encode()
    except UnicodeEncodeError as error:
        raise InvalidData(
            f"{where} holds half a character (a lone surrogate, \\ud800 to \\udfff); remove it"
        ) from error
    except (ValueError, RecursionError) as error:
        raise InvalidData(f"{where} is not JSON; a .jsonl file has one object a line") from error
    if not isinstance(row, dict):
        raise InvalidData(f'{where} is no object; write it as {{"column": value, …}}')
    return row


def _read_csv(name: str, content: str) -> tuple[list[str], list[Row]]:
    lines = _csv_lines(name, content)
    header = next(lines, [])
    if len(set(header)) < len(header):
        double = sorted({column for column in header if header.count(column) > 1})
        raise InvalidData(f"{name} has two columns of one name: {listed(double)}; rename one")
    rows: list[Row] = []
    for number, fields in enumerate(lines, 1):
        if len(fields) != len(header):
            raise InvalidData(
                f"row {number} of {name} has {len(fields)} fields and the header {len(header)}; "
                "put quotes around text with commas or line ends"
            )
        rows.append(dict(zip(header, fields, strict=True)))
    return header, rows


def _csv_lines(name: str, content: str) -> Iterator[list[str]]:
    """Fields of every line that is not blank; the header first."""
    usual = csv.field_size_limit(min(sys.maxsize, 2**31 - 1))
    try:
        reader = csv.reader(io.StringIO(content, newline=""), strict=True)
        found = [fields for fields in reader if fields]
    except csv.Error as error:
        raise InvalidData(
            f"line {reader.line_num} of {name} is not CSV ({error}); "
            "write quotes inside quotes twice"
        ) from error
    finally:
        csv.field_size_limit(usual)
    return iter(found)
