"""Text from strangers: read within bounds, or refused in one line."""

import re
from collections.abc import Mapping
from typing import Any

from allocator.errors import UnreadablePlan
from analyzer.strict_json import check_depth, parse
from analyzer.text import shown

MAX_BYTES = 32_000_000
MOST_VALUES = 2_000_000
LONGEST_NAME = 500
_NAME = re.compile(r"[\w-]+(\.[\w-]+)*")
_NUMBER = re.compile(r"[0-9]{1,6}")

Files = Mapping[str, bytes]
"""Files by name; a single text without one is called ``."""


def only(files: Files, form: str) -> bytes:
    """The bytes of the only file. Raises UnreadablePlan where there are more."""
    if len(files) != 1:
        raise UnreadablePlan(f"{form} is one file, not {len(files)}; give one")
    return next(iter(files.values()))


def as_text(raw: bytes) -> str:
    """UTF-8 text, with or without a byte order mark. Raises UnreadablePlan."""
    if len(raw) > MAX_BYTES:
        raise UnreadablePlan(f"{len(raw)} bytes are no plan; at most {MAX_BYTES} are read")
    try:
        return raw.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise UnreadablePlan("the file is not text in UTF-8; is it another form?") from error


def as_json(raw: bytes) -> Any:
    """A JSON value, bounded in size and depth. Raises UnreadablePlan."""
    text = as_text(raw)
    try:
        value = parse(text.encode(), MOST_VALUES)
        check_depth(value)
    except (ValueError, RecursionError) as error:
        raise UnreadablePlan(f"the file is not JSON: {shown(error)}") from error
    return value


def as_object(raw: bytes) -> dict[str, Any]:
    """A JSON object. Raises UnreadablePlan."""
    value = as_json(raw)
    if not isinstance(value, dict):
        raise UnreadablePlan("the JSON is not an object; is it another form?")
    return value


def whole_numbers(text: str, name: str) -> list[int]:
    """Whole numbers of `1,3,5`, `1 3 5`, `(1, 3)`, `[1,3]` or `5,`. Raises UnreadablePlan."""
    inner = text.strip()
    if inner[:1] + inner[-1:] in ("()", "[]"):
        inner = inner[1:-1]
    parts = inner.replace(",", " ").split()
    if not parts or not all(_NUMBER.fullmatch(part) for part in parts):
        raise UnreadablePlan(
            f"{name} is {shown(text, 60)!r}, not a list of whole numbers such as 1,3,5"
        )
    return [int(part) for part in parts]


def one_number(text: str, name: str) -> int:
    """A single whole number. Raises UnreadablePlan."""
    if not _NUMBER.fullmatch(text.strip()):
        raise UnreadablePlan(f"{name} is {shown(text, 60)!r}, not a whole number")
    return int(text)


def whole(value: object, name: str) -> int:
    """A whole number of at least 1 from JSON. Raises UnreadablePlan."""
    if type(value) is float and value.is_integer():
        value = int(value)
    if type(value) is not int or not 1 <= value < 10**6:
        raise UnreadablePlan(f"{name} is {shown(repr(value), 60)}, not a whole number from 1")
    return value


def positive(value: object, name: str) -> float:
    """A positive finite number from JSON or text. Raises UnreadablePlan."""
    try:
        found = float(value) if isinstance(value, int | float | str) else float("nan")
    except (ValueError, OverflowError):
        found = float("nan")
    if isinstance(value, bool) or not 0 < found < float("inf"):
        raise UnreadablePlan(f"{name} is {shown(repr(value), 60)}, not a positive number")
    return found


def names(value: object, name: str) -> list[str]:
    """Names from a comma list or a JSON list. Raises UnreadablePlan."""
    parts = value.strip("()[] ").split(",") if isinstance(value, str) else value
    if not isinstance(parts, list) or not all(isinstance(part, str) for part in parts):
        raise UnreadablePlan(f"{name} is no list of names such as q_proj,v_proj")
    found = [part for part in dict.fromkeys(part.strip(" '\"") for part in parts) if part]
    for part in found:
        if len(part) > LONGEST_NAME or not _NAME.fullmatch(part):
            raise UnreadablePlan(f"{name} holds {shown(part, 60)!r}, which is no module's name")
    return found
