"""The user's texts: a .jsonl file with a column, or a .txt file with one text a line."""

import json
from collections.abc import Iterator
from pathlib import Path

from analyzer.text import shown
from trainer.errors import InvalidTexts

_COLUMNS = "`text`, or `prompt` and `completion`"


def read_texts(path: Path) -> list[str]:
    """The texts of a file, blank lines left out. Raises InvalidTexts, with the line's number.

    A line of a .jsonl file is an object with `text`, or with `prompt` and `completion`, which are
    joined as they are.
    """
    if path.suffix not in (".jsonl", ".txt"):
        raise InvalidTexts(
            f"{shown(path)} is neither .jsonl (a column {_COLUMNS}) nor .txt (one text a line)"
        )
    try:
        content = path.read_bytes().decode("utf-8-sig")
    except OSError as error:
        raise InvalidTexts(f"cannot read {shown(path)}: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise InvalidTexts(
            f"{shown(path)} is not UTF-8 at byte {error.start}; convert it"
        ) from error
    lines = ((number, line) for number, line in enumerate(content.split("\n"), 1) if line.strip())
    texts = list(_rows(path, lines) if path.suffix == ".jsonl" else (line for _, line in lines))
    if not texts:
        raise InvalidTexts(f"{shown(path)} holds no text; give a file with at least one")
    return [text.removesuffix("\r") for text in texts]


def _rows(path: Path, lines: Iterator[tuple[int, str]]) -> Iterator[str]:
    for number, line in lines:
        where = f"line {number} of {shown(path)}"
        try:
            row = json.loads(line)
        except (ValueError, RecursionError) as error:
            raise InvalidTexts(
                f"{where} is not JSON; a .jsonl file has one object a line"
            ) from error
        if not isinstance(row, dict):
            raise InvalidTexts(f"{where} is no object; give one with {_COLUMNS}")
        columns = ("text",) if "text" in row else ("prompt", "completion")
        if any(column not in row for column in columns):
            has = ", ".join(map(str, row)) or "nothing"
            raise InvalidTexts(f"{where} has only {shown(has)}; it needs {_COLUMNS}")
        parts = [row[column] for column in columns]
        if not all(isinstance(part, str) for part in parts):
            raise InvalidTexts(f"{where} holds something in {_COLUMNS} that is no text")
        yield "".join(parts)
