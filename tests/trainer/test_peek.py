"""The form of data by its beginning: that of the whole, from as little as tells it."""

import json
import os

import datasets
import pytest

from trainer.dataset.columns import form_of
from trainer.dataset.peek import form_at
from trainer.dataset.read import read_rows
from trainer.errors import InvalidData

ROWS = [{"text": 'w1, "w2"\nw3', "label": "a"}, {"text": "w4", "label": "b"}]


def test_every_kind_of_file(tmp_path):
    saved = datasets.Dataset.from_list(ROWS)
    saved.save_to_disk(tmp_path / "saved")
    saved.to_parquet(tmp_path / "data.parquet")
    saved.to_csv(tmp_path / "data.csv", index=False)
    (tmp_path / "data.jsonl").write_text("\ufeff\n" + "\n\n".join(map(json.dumps, ROWS)))
    for name in ("saved", "data.parquet", "data.csv", "data.jsonl"):
        place = str(tmp_path / name)
        assert form_at(place) == form_of(read_rows(place).columns) == "classification", name


@pytest.mark.parametrize("name", ["large.jsonl", "large.csv"])
def test_a_large_file_is_not_read(tmp_path, name):
    """What follows its beginning is a hole of a terabyte."""
    file = tmp_path / name
    rows = [*ROWS[:1], {"text": "w5"}] * 600
    text = "\n".join(map(json.dumps, rows)) + "\n"
    file.write_text(text if name.endswith("jsonl") else "text,label\nw1,a\n")
    try:
        os.truncate(file, 1 << 40)
    except OSError as error:
        pytest.skip(f"no files with holes here: {error}")
    assert form_at(str(file)) == "classification"


def test_a_first_row_may_lack_columns(tmp_path):
    file = tmp_path / "data.jsonl"
    file.write_text("\n".join(map(json.dumps, [{"text": "w1"}, *ROWS])))
    assert form_at(str(file)) == "classification"
    late = [*[{"id": 1}] * 3000, {"prompt": "w1", "completion": "w2"}]
    file.write_text("\n".join(map(json.dumps, late)))
    assert form_at(str(file)) == "completion", "the whole is read where the beginning tells nothing"


@pytest.mark.parametrize(
    ("name", "content", "words"),
    [
        ("a.jsonl", b'{"text": "x"', "line 1 of .*not JSON"),
        ("a.jsonl", b"[1]", "line 1 of .*no object"),
        ("a.jsonl", b"[[1, 2]]", "line 1 of .*no object"),
        ("a.jsonl", b"\xff", "line 1 of .*not UTF-8"),
        ("a.csv", b"text\n", "no rows"),
        ("a.csv", b"", "no rows"),
        ("a.csv", b'text\n"a" b\n', "line 2 of .*not CSV"),
        ("a.parquet", b"PAR1", "no whole Parquet"),
        ("a.txt", b"x", "cannot be read"),
        ("a.csv", b"body,title\na,b\n", r"a\.csv has the columns body, title; .*messages"),
    ],
)
def test_what_is_wrong_is_told_as_by_who_reads_all(tmp_path, name, content, words):
    (tmp_path / name).write_bytes(content)
    with pytest.raises(InvalidData, match=words):
        form_at(str(tmp_path / name))
    with pytest.raises(InvalidData, match="no such file"):
        form_at(str(tmp_path / "none.jsonl"))
