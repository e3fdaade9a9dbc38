"""A first look at data: what it may be, and what is wrong with it before anybody trains."""

import csv
import io
import json
import sys
import tracemalloc

import datasets
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from trainer.dataset.look import HEAD, Look, look
from trainer.dataset.read import read_rows
from trainer.errors import InvalidData

ROWS = [{"prompt": f"p{n}", "completion": 'ä, "b"\nc', "id": str(n)} for n in range(5)]


def lines(*rows) -> bytes:
    return "\n".join(json.dumps(row, ensure_ascii=False) for row in rows).encode()


def table(*rows) -> bytes:
    text = io.StringIO(newline="")
    csv.writer(text).writerows(rows)
    return text.getvalue().encode()


@pytest.fixture
def file(tmp_path):
    """Writes bytes to a file of a name that says nothing."""

    def write(content: bytes):
        path = tmp_path / "5891b5b5"
        path.write_bytes(content)
        return path

    return write


def wrong(path, kind, message):
    with pytest.raises(InvalidData, match=message) as found:
        look(path, kind, "given.name")
    assert "given.name" in str(found.value)
    assert path.name not in str(found.value)


def test_every_format_shows_the_same_columns(file, tmp_path):
    expected = Look(("prompt", "completion", "id"), "completion", "language")
    parquet = io.BytesIO()
    pq.write_table(pa.Table.from_pylist(ROWS), parquet)
    datasets.Dataset.from_list(ROWS).save_to_disk(tmp_path / "saved")
    for kind, content in (
        ("jsonl", lines(*ROWS)), ("csv", table(ROWS[0], *(row.values() for row in ROWS))),
        ("parquet", parquet.getvalue()),
    ):  # fmt: skip
        path = file(content)
        assert look(path, kind, "x") == look(path, kind, "x", whole=False) == expected
        named = tmp_path / f"read.{kind}"
        named.write_bytes(content)
        assert read_rows(named).columns == expected.columns
    assert look(tmp_path / "saved", "folder", "x") == expected
    assert read_rows(tmp_path / "saved").columns == expected.columns


@pytest.mark.parametrize(
    ("columns", "form", "task"),
    [
        (["messages"], "chat", "language"),
        (["instruction", "input", "output"], "instruction", "language"),
        (["question", "choices", "answer"], "choice", "choice"),
        (["label", "text"], "classification", "classification"),
        (["text", "url"], "text", "language"),
    ],
)  # fmt: skip
def test_forms(file, columns, form, task):
    row = dict.fromkeys(columns, "x")
    assert look(file(lines(row)), "jsonl", "x") == Look(tuple(columns), form, task)


def test_marks_blank_lines_and_rows_that_lack_columns(file):
    content = (
        b"\xef\xbb\xbf\n \n" + lines({"text": "a"}, {"label": "b", "text": "\u2028"}) + b"\n\n"
    )
    assert look(file(content), "jsonl", "x").form == "classification"
    assert look(file(b"\xef\xbb\xbftext\r\n\r\na\r\n"), "csv", "x").columns == ("text",)


WRONG = {
    "empty": ("jsonl", b"", "is empty"),
    "empty csv": ("csv", b"", "is empty"),
    "empty parquet": ("parquet", b"", "is empty"),
    "blank lines": ("jsonl", b"\n \n", "holds no rows"),
    "a mark alone": ("jsonl", b"\xef\xbb\xbf", "holds no rows"),
    "a header alone": ("csv", b"text\n", "a header and no rows"),
    "NUL": ("jsonl", lines({"text": "a"}) + b"\n\0", "line 2 .*NUL"),
    "NUL in csv": ("csv", b"text\na\nb\0\n", "line 3 .*NUL"),
    "Latin-1": ("jsonl", b'\n{"text": "\xe9"}', "line 2 .*UTF-8"),
    "half a letter": ("csv", b"text\nab\xc3", "line 2 .*UTF-8"),
    "no JSON": ("jsonl", lines({"text": "a"}) + b"\ntext: b", "line 2 .*not JSON"),
    "a JSON array": ("jsonl", b"[\n]", "line 1 .*not JSON"),
    "no object": ("jsonl", b'["text"]', "line 1 .*no object"),
    "200 deep": ("jsonl", b"[" * 200_000, "line 1 .*not JSON"),
    "half a character": ("jsonl", b'{"text": "\\ud800"}', "lone surrogate"),
    "columns of no form": ("jsonl", lines({"q": 1, "a": 2}), r"q, a.*prompt \+ completion"),
    "no columns": ("jsonl", b"{}", r"\(none\)"),
    "columns of csv": ("csv", b"q,a\n1,2\n", r"the columns q, a"),
    "jsonl as csv": ("csv", lines({"text": "a", "b": 1}, {"text": "b", "b": 1}), "CSV|columns"),
    "one name twice": ("csv", b"text,text\n1,2\n", "two columns of one name: text"),
    "a field too many": ("csv", b"text,label\n1,2\n1,2,3\n", "row 2 .* 3 fields"),
    "a quote left open": ("csv", b'text\n"a\nb', "not CSV"),
    "quotes inside": ("csv", b'text\n"a"b"\n', "line 2 .*not CSV"),
    "text as parquet": ("parquet", b"text\n" * 100, "no whole Parquet"),
    "marks alone": ("parquet", b"PAR1PAR1", "no whole Parquet"),
    "a footer of nothing": ("parquet", b"PAR1" + b"\0" * 100 + b"PAR1", "no whole Parquet"),
    "a footer too long": ("parquet", b"PAR1" + b"\xff" * 100 + b"PAR1", "no whole Parquet"),
    "a footer of noise": (
        "parquet", b"PAR1" + b"\x99" * 100 + b"\x5a\0\0\0PAR1", "no whole Parquet",
    ),
    "too many columns": ("csv", table(range(1001), range(1001)), "1001 columns"),
}  # fmt: skip


@pytest.mark.parametrize("case", WRONG)
def test_what_is_wrong_is_said_with_its_place(file, case):
    kind, content, message = WRONG[case]
    wrong(file(content), kind, message)


def test_a_parquet_file_that_was_cut(file):
    whole, empty = io.BytesIO(), io.BytesIO()
    pq.write_table(pa.table({"text": ["a" * 10_000]}), whole)
    pq.write_table(pa.table({"text": pa.array([], pa.string())}), empty)
    for content in (whole.getvalue()[:-1], whole.getvalue()[:500], whole.getvalue()[1:]):
        wrong(file(content), "parquet", "no whole Parquet")
    wrong(file(empty.getvalue()), "parquet", "holds no rows")


def test_without_pyarrow_nobody_knows_the_columns(file, monkeypatch):
    whole = io.BytesIO()
    pq.write_table(pa.table({"text": ["a"]}), whole)
    monkeypatch.setitem(sys.modules, "pyarrow.parquet", None)
    assert look(file(whole.getvalue()), "parquet", "x") == Look(None, None, None)
    wrong(file(whole.getvalue()[1:]), "parquet", "no whole Parquet")


def test_a_saved_folder_that_is_damaged(tmp_path):
    for content in (b"{", b"[]", b"{}", b'{"features": 1}', b"[" * 100_000):
        (tmp_path / "dataset_info.json").write_bytes(content)
        wrong(tmp_path, "folder", "no whole saved dataset")
    wrong(tmp_path / "nothing", "folder", "cannot read")


def test_long_rows_and_cut_quotes_are_no_reason(file):
    long = "a, b\n" * 60_000  # beyond what the csv module takes unless it is told to
    assert look(file(lines({"text": long}, {"text": "b"})), "jsonl", "x").form == "text"
    assert look(file(table(["text"], [long], ["b"])), "csv", "x").form == "text"
    assert csv.field_size_limit() == 131_072
    over = "x" * HEAD
    assert look(file(table(["text"], ["a"], [over])), "csv", "x").form == "text"
    assert look(file(lines({"text": "a"}, {"text": over})), "jsonl", "x").form == "text"
    wrong(file(lines({"text": over})), "jsonl", "line 1 of .* more than 4000000 bytes")


@pytest.mark.parametrize(("kind", "start", "row"), [
    ("jsonl", b"", b'{"text": "' + b"a" * 980 + b'"}\n'), ("csv", b"text\n", b"b" * 999 + b"\n"),
])  # fmt: skip
def test_the_whole_file_is_text_and_none_of_it_stays(file, kind, start, row):
    content = start + row * 60_000
    path = file(content)
    tracemalloc.start()
    try:
        assert look(path, kind, "x").form == "text"
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert len(content) > 55_000_000
    assert peak < 30_000_000
    wrong(file(content + b"\xff"), kind, f"line {60_001 + len(start) // 5} of .*UTF-8")
    assert look(file(content + b"\xff"), kind, "x", whole=False).form == "text"
