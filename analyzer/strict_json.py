"""JSON from strangers: its cost is bounded by counting bytes before it is parsed."""

import json
from collections.abc import Callable
from typing import Any

MAX_DEPTH = 32
MAX_WIDE_BYTES = 8_000_000
_MAX_DIGITS = 19


def parse(
    raw: bytes,
    max_values: int,
    *,
    pairs: Callable[[list[tuple[str, Any]]], Any] | None = None,
    constant: Callable[[str], Any] = lambda _: None,
) -> Any:
    """Parse UTF-8 JSON that may hold `max_values` values.

    Memory follows the number of values, not the bytes, so it is checked first: each value but the
    last is followed by a comma or a closing bracket. One letter beyond ASCII makes Python hold
    the whole text in up to four bytes a letter, so such a text has a limit of its own. A number
    of more than 19 digits, and -0, becomes a float, which no reader takes for a size. NaN and
    Infinity become what `constant` makes of them. Raises ValueError or RecursionError.
    """
    if sum(map(raw.count, (b",", b"[", b"{"))) > max_values:
        raise ValueError(f"more than {max_values} values")
    if len(raw) > MAX_WIDE_BYTES and not raw.isascii():
        raise ValueError(f"more than {MAX_WIDE_BYTES} bytes with letters beyond ASCII")
    return json.loads(
        raw.decode(), object_pairs_hook=pairs, parse_int=_number, parse_constant=constant
    )


def check_depth(value: Any) -> None:
    """Raise ValueError where lists and objects lie more than 32 deep."""
    level = [value]
    for _ in range(MAX_DEPTH + 1):
        level = [child for one in level for child in _children(one)]
        if not level:
            return
    raise ValueError(f"nested more than {MAX_DEPTH} deep")


def _children(value: Any) -> Any:
    if isinstance(value, dict):
        return value.values()
    return value if isinstance(value, list) else ()


def _number(text: str) -> int | float:
    return float(text) if len(text) > _MAX_DIGITS or text == "-0" else int(text)
