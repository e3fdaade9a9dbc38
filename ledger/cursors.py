"""Opaque marks of a page's end, good for a day and for the list that they were made for."""

import base64
import binascii
import hashlib
import json
import time
from collections.abc import Mapping

from ledger.errors import ExpiredCursor, InvalidCursor

LIFETIME = 86_400.0
_NOT_OURS = "the cursor was not made by this service for this list; start from the first page"


def encode(last_id: str, filters: Mapping[str, object]) -> str:
    """The cursor after a row."""
    content = json.dumps([last_id, int(time.time()), _mark(filters)])
    return base64.urlsafe_b64encode(content.encode()).decode().rstrip("=")


def decode(cursor: str, filters: Mapping[str, object]) -> str:
    """The id that a page ended with. Raises InvalidCursor, or ExpiredCursor."""
    try:
        padded = cursor.encode("ascii") + b"=" * (-len(cursor) % 4)
        last_id, made, mark = json.loads(base64.urlsafe_b64decode(padded))
        age = time.time() - float(made)
    except (ValueError, TypeError, OverflowError, binascii.Error, RecursionError) as error:
        raise InvalidCursor(_NOT_OURS) from error
    if mark != _mark(filters) or not isinstance(last_id, str) or not _is_id(last_id):
        raise InvalidCursor(_NOT_OURS)
    if not 0 <= age + 60 <= LIFETIME + 60:
        raise ExpiredCursor("the cursor is more than a day old; start from the first page")
    return last_id


def _is_id(text: str) -> bool:
    """Whether a database can compare it: no NUL, no half of a character."""
    return text.isascii() and text.isprintable()


def _mark(filters: Mapping[str, object]) -> str:
    canonical = json.dumps(dict(filters), sort_keys=True, default=str)
    return hashlib.sha256(canonical.encode()).hexdigest()[:16]
