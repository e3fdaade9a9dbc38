"""A first look at data, before anybody trains on it: whether it can be read, and its columns.

The whole of a text file is checked to be text, its first rows to be rows; none is kept.
"""

import codecs
import csv
import io
import json
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from threading import Lock
from typing import Any, Literal

from analyzer import strict_json
from analyzer.text import listed, shown
from trainer.dataset.columns import Form, form_of, task_of
from trainer.errors import InvalidData
from trainer.recipe import Task

Format = Literal["jsonl", "csv", "parquet", "folder"]

HEAD = 4_000_000
"""Bytes of the first rows, and of the longest that is looked into."""

ROWS = 1000
MOST_VALUES = 1_000_000
"""In one line; more would cost too much memory for a look."""

MOST_COLUMNS, MOST_LETTERS = 1000, 100_000
"""Columns, and letters of all their names."""

MOST_FOOTER = 64_000_000
_PIECE = 1_000_000
_MAGIC = b"PAR1"
_csv_limit = Lock()


@dataclass(frozen=True)
class Look:
    """What the first rows show; all None for a .parquet file where pyarrow is not installed."""

    columns: tuple[str, ...] | None
    form: Form | None
    task: Task | None


def look(path: Path, kind: Format, name: str, *, whole: bool = True) -> Look:
    """Look at a file of a format, whatever its own name; messages show `name`.

    Without `whole` the rest of a text file is left unread.

    Raises InvalidData, with the line and what to do, where it is empty, no text, or not of its
    format, or where its columns are of no form that can be trained on.
    """
    name = shown(name)
    try:
        if whole and kind in ("jsonl", "csv"):
            _check_text(path, name)
        columns = _LOOKS[kind](path, name)
    except OSError as error:
        raise InvalidData(f"cannot read {name}: {error.strerror}") from error
    if columns is None:
        return Look(None, None, None)
    if len(columns) > MOST_COLUMNS or sum(map(len, columns)) > MOST_LETTERS:
        raise InvalidData(
            f"{name} has {len(columns)} columns, too many or with names too long to be kept; leave "
            "out those that are not trained on"
        )
    form = form_of(columns, None, name)
    return Look(tuple(columns), form, task_of(form))


def _jsonl(path: Path, name: str) -> list[str]:
    columns: dict[str, None] = {}
    number = 0
    for number, line in _first_lines(path, name):
        row = _object(f"line {number} of {name}", line)
        columns |= dict.fromkeys(row)
    if number == 0:
        raise InvalidData(f"{name} holds no rows; give a file with at least two")
    return list(columns)


def _first_lines(path: Path, name: str) -> Iterator[tuple[int, bytes]]:
    """The first lines that are not blank, with their numbers."""
    read = found = 0
    with path.open("rb") as file:
        _skip_mark(file)
        for number in range(1, sys.maxsize):
            line = file.readline(HEAD + 1)
            read += len(line)
            if len(line) > HEAD:
                if found:
                    return
                raise InvalidData(
                    f"line {number} of {name} has more than {HEAD} bytes; a .jsonl file has one "
                    "object a line"
                )
            if not line or (found and read > HEAD) or found >= ROWS:
                return
            if line.strip():
                found += 1
                yield number, line


def _skip_mark(file: Any) -> None:
    if file.read(3) != codecs.BOM_UTF8:
        file.seek(0)


def _object(where: str, line: bytes) -> dict[str, Any]:
    try:
        row = strict_json.parse(line, MOST_VALUES)
        json.dumps(row, ensure_ascii=False).encode()
    except UnicodeEncodeError as error:
        raise InvalidData(
            f"{where} holds half a character (a lone surrogate, \\ud800 to \\udfff); remove it"
        ) from error
    except (ValueError, RecursionError) as error:
        reason = shown(str(error), 80) or "nested too deep"
        raise InvalidData(
            f"{where} is not JSON ({reason}); a .jsonl file has one object a line"
        ) from error
    if not isinstance(row, dict):
        raise InvalidData(f'{where} is no object; write it as {{"column": value, …}}')
    return row


def _csv(path: Path, name: str) -> list[str]:
    with path.open("rb") as file:
        _skip_mark(file)
        head, more = file.read(HEAD), file.read(1) != b""
    rows = _csv_rows(head.decode(errors="ignore"), more, name)
    if not rows:
        raise InvalidData(f"{name} holds no rows; give a file with a header and at least two")
    header = rows[0]
    if len(set(header)) < len(header):
        double = sorted({column for column in header if header.count(column) > 1})
        raise InvalidData(f"{name} has two columns of one name: {listed(double)}; rename one")
    if len(rows) == 1 and not more:
        raise InvalidData(f"{name} holds a header and no rows; give a file with at least two")
    for number, fields in enumerate(rows[1:], 1):
        if len(fields) != len(header):
            raise InvalidData(
                f"row {number} of {name} has {len(fields)} fields and the header {len(header)}; "
                "put quotes around text with commas or line ends"
            )
    return header


def _csv_rows(head: str, more: bool, name: str) -> list[list[str]]:
    """The first rows that are not blank; the last of a head that was cut off is left out."""
    reader = csv.reader(io.StringIO(head, newline=""), strict=True)
    rows: list[list[str]] = []
    with _csv_limit:
        usual = csv.field_size_limit(HEAD)
        try:
            for fields in reader:
                rows += [fields] if fields else []
                if len(rows) > ROWS:
                    return rows
        except csv.Error as error:
            if more and len(rows) > 1 and "end of data" in str(error):
                return rows  # the cut left a quote open
            raise InvalidData(
                f"line {reader.line_num} of {name} is not CSV ({error}); "
                "write quotes inside quotes twice"
            ) from error
        finally:
            csv.field_size_limit(usual)
    return rows[:-1] if more and len(rows) > 1 else rows


def _check_text(path: Path, name: str) -> None:
    """The whole file is UTF-8 without NUL, read a piece at a time."""
    decoder, line = codecs.getincrementaldecoder("utf-8")(), 1
    size = 0
    with path.open("rb") as file:
        while True:
            piece = file.read(_PIECE)
            size += len(piece)
            nul = piece.find(b"\0")
            if nul >= 0:
                line += piece.count(b"\n", 0, nul)
                raise InvalidData(f"line {line} of {name} holds a NUL character; remove it")
            try:
                decoder.decode(piece, final=not piece)
            except UnicodeDecodeError as error:
                line += error.object.count(b"\n", 0, error.start)
                raise InvalidData(
                    f"line {line} of {name} is not UTF-8; convert the file to UTF-8"
                ) from error
            if not piece:
                break
            line += piece.count(b"\n")
    if size == 0:
        raise InvalidData(f"{name} is empty; give a file with at least two rows")


def _parquet(path: Path, name: str) -> list[str] | None:
    size = path.stat().st_size
    with path.open("rb") as file:
        first = file.read(4)
        file.seek(max(size - 8, 0))
        length, last = int.from_bytes(file.read(4), "little"), file.read(4)
    if size == 0:
        raise InvalidData(f"{name} is empty; give a file with at least two rows")
    if first != _MAGIC or last != _MAGIC or not 0 < length <= min(size - 12, MOST_FOOTER):
        raise InvalidData(f"{name} is no whole Parquet file; write it again")
    try:
        parquet = import_module("pyarrow.parquet")
    except ImportError:
        return None
    try:
        with parquet.ParquetFile(path) as file:
            columns, rows = list(file.schema_arrow.names), file.metadata.num_rows
    except (OSError, ValueError, ArithmeticError, TypeError, NotImplementedError) as error:
        reason = shown(str(error).partition("\n")[0] or type(error).__name__)
        raise InvalidData(f"{name} is no whole Parquet file ({reason}); write it again") from error
    if rows == 0:
        raise InvalidData(f"{name} holds no rows; give a file with at least two")
    return columns


def _folder(path: Path, name: str) -> list[str]:
    """By what `Dataset.save_to_disk` wrote of itself."""
    try:
        content = (path / "dataset_info.json").read_bytes()
        return list(strict_json.parse(content, MOST_VALUES)["features"])
    except (ValueError, LookupError, TypeError, RecursionError) as error:
        raise InvalidData(f"{name} is no whole saved dataset; save it again") from error


_LOOKS: dict[Format, Callable[[Path, str], list[str] | None]] = {
    "jsonl": _jsonl,
    "csv": _csv,
    "parquet": _parquet,
    "folder": _folder,
}
