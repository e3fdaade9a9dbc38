"""Documents are parsed once, and kept to a bound."""

import hashlib

import pytest
from pydantic import BaseModel, ValidationError

from ledger.parsed import Parsed


class Word(BaseModel):
    text: str


class Number(BaseModel):
    text: int


def get(kept: Parsed, content: bytes, kind=Word):
    return kept.get(kind, hashlib.sha256(content).hexdigest(), content)


def test_the_same_bytes_are_the_same_record():
    kept = Parsed(100)
    first = get(kept, b'{"text": "1"}')
    assert first == Word(text="1")
    assert get(kept, b'{"text": "1"}') is first
    assert get(kept, b'{"text": "1"}', Number) == Number(text=1)


def test_the_ones_asked_for_last_stay():
    kept = Parsed(32)
    a, b, c = (b'{"text": "%s"}' % each for each in (b"a", b"b", b"c"))
    first, second = get(kept, a), get(kept, b)
    assert get(kept, a) is first
    get(kept, c)
    assert get(kept, a) is first
    assert get(kept, b) is not second


def test_what_is_too_large_or_wrong_is_not_kept():
    kept = Parsed(20)
    large = b'{"text": "%s"}' % (b"x" * 30)
    assert get(kept, large) is not get(kept, large)
    with pytest.raises(ValidationError):
        get(kept, b'{"words": 1}')
    assert get(kept, b'{"text": "a"}') is get(kept, b'{"text": "a"}')
