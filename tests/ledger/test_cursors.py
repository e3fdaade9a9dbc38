"""Marks of a page's end: only ours, only for their list, only for a day."""

import base64
import json
import time

import pytest

from ledger.cursors import decode, encode
from ledger.errors import ExpiredCursor, InvalidCursor

LIST = {"owner": "ann", "kind": "plan", "status": None}


def own(change=lambda last, made, mark: [last, made, mark]) -> str:
    """A cursor that is ours but for a change."""
    inside = json.loads(base64.urlsafe_b64decode(encode("pln_1", LIST) + "=="))
    return wrap(json.dumps(change(*inside)))


def wrap(text: str | bytes) -> str:
    raw = text if isinstance(text, bytes) else text.encode()
    return base64.urlsafe_b64encode(raw).decode().rstrip("=")


def test_a_cursor_leads_back_to_where_it_was_made():
    for last in ("pln_1", "pln_0123456789abc", "x", ""):
        assert decode(encode(last, LIST), LIST) == last
    assert decode(own(), dict(reversed(LIST.items()))) == "pln_1"
    assert encode("pln_1", LIST).replace("-", "").replace("_", "").isalnum()


@pytest.mark.parametrize(
    "other",
    [
        {},
        {**LIST, "owner": "ben"},
        {**LIST, "status": "failed"},
        {**LIST, "more": 1},
        {"kind": "plan"},
    ],
)
def test_a_cursor_of_another_list_is_refused(other):
    with pytest.raises(InvalidCursor, match="start from the first page") as found:
        decode(own(), other)
    assert not isinstance(found.value, ExpiredCursor)


@pytest.mark.parametrize(
    ("age", "expired"), [(86_000, False), (86_500, True), (-30, False), (-90, True)]
)
def test_a_cursor_is_good_for_a_day(age, expired):
    aged = own(lambda last, made, mark: [last, int(time.time()) - age, mark])
    if expired:
        with pytest.raises(ExpiredCursor, match="start from the first page"):
            decode(aged, LIST)
    else:
        assert decode(aged, LIST) == "pln_1"


@pytest.mark.parametrize(
    "cursor",
    [
        "", "=", "====", "a", "ab", "abc", "%%%%", "ä", "pln_1", "\x00", "\ud800", " " * 50,
        "A" * 5000, wrap("[" * 100_000),
        wrap(""), wrap("null"), wrap("1"), wrap("[]"), wrap("{}"), wrap("[1,2]"), wrap("[1,2,3,4]"),
        wrap('"abc"'), wrap('"a1b"'), wrap('{"a":1,"b":2,"c":3}'), wrap(b"\xff\xfe"),
        wrap('["pln_1",' + "9" * 400 + ',"x"]'), wrap('["pln_1",' + "9" * 5000 + ',"x"]'),
        wrap('["pln_1",1e999,"x"]'), wrap('["pln_1",NaN,"x"]'), wrap('["pln_1",[],"x"]'),
    ],
)  # fmt: skip
def test_garbage_is_refused(cursor):
    with pytest.raises(InvalidCursor):
        decode(cursor, LIST)


@pytest.mark.parametrize(
    "change",
    [
        lambda last, made, mark: [None, made, mark],
        lambda last, made, mark: [5, made, mark],
        lambda last, made, mark: [["pln_1"], made, mark],
        lambda last, made, mark: ["pln_\x00", made, mark],
        lambda last, made, mark: ["pln_\ud800", made, mark],
        lambda last, made, mark: ["pln_\n", made, mark],
        lambda last, made, mark: [last, None, mark],
        lambda last, made, mark: [last, "soon", mark],
        lambda last, made, mark: [last, float("nan"), mark],
        lambda last, made, mark: [last, float("inf"), mark],
        lambda last, made, mark: [last, 10**400, mark],
        lambda last, made, mark: [last, made, None],
        lambda last, made, mark: [last, made, mark[:-1]],
    ],
)
def test_what_a_database_could_not_compare_is_refused(change):
    with pytest.raises(InvalidCursor):
        decode(own(change), LIST)
