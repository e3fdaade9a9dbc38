"""Files of rows: their kinds, classes by name, and those that cannot be read."""

import csv
import json
import subprocess
import sys

import datasets
import pyarrow.parquet
import pytest

from tests.trainer.test_dataset import ROW, lines, refused
from trainer.dataset.read import read_rows

ROWS = [{"text": "w10", "label": "a"}, {"text": 'w11, "w12"\nw13', "label": "b"}]


def test_kinds_of_files(tmp_path):
    with (tmp_path / "data.csv").open("w", newline="", encoding="utf-8-sig") as out:
        writer = csv.DictWriter(out, ["text", "label"])
        writer.writeheader()
        writer.writerows(ROWS)
    (tmp_path / "data.jsonl").write_text("\n\n".join(map(json.dumps, ROWS)) + "\r\n")
    saved = datasets.Dataset.from_list(ROWS)
    saved.save_to_disk(tmp_path / "saved")
    saved.to_parquet(tmp_path / "data.parquet")
    pyarrow.parquet.write_table(saved.data.table.replace_schema_metadata(), tmp_path / "p.PARQUET")
    for name in ("data.csv", "data.jsonl", "saved", "data.parquet", "p.PARQUET"):
        found = read_rows(tmp_path / name)
        assert found.columns == ("text", "label"), name
        assert list(found.rows) == ROWS, name
    assert found.where(1) == f"row 2 of {tmp_path / 'p.PARQUET'}"
    assert read_rows(tmp_path / "data.jsonl").where(1) == f"line 3 of {tmp_path / 'data.jsonl'}"


def test_classes_by_name(tmp_path):
    features = datasets.Features(
        text=datasets.Value("string"), label=datasets.ClassLabel(names=["no", "yes"])
    )
    saved = datasets.Dataset.from_dict({"text": ["w"] * 3, "label": [1, 0, -1]}, features=features)
    saved.save_to_disk(tmp_path / "saved")
    saved.to_parquet(tmp_path / "data.parquet")
    for name in ("saved", "data.parquet"):
        assert [row["label"] for row in read_rows(tmp_path / name).rows] == ["yes", "no", None]
    datasets.DatasetDict(train=saved, test=saved).save_to_disk(tmp_path / "both")
    refused(tmp_path, str(tmp_path / "both"), "both", "train, test", "one of them")


@pytest.mark.parametrize(
    ("name", "content", "words"),
    [
        ("a.txt", b"x", ["a.txt", ".jsonl, .csv or .parquet"]),
        ("a.jsonl", b'{"text": "x"}\n\xff', ["line 2 of", "not UTF-8", "convert"]),
        ("a.jsonl", b"\xef\xbb\xbf{}\n\n\xff", ["line 3 of", "not UTF-8"]),
        ("a.jsonl", b'{"text": "x"}\n\ntext', ["line 3 of", "not JSON", "one object a line"]),
        ("a.jsonl", b'"text"', ["line 1 of", "no object"]),
        ("a.jsonl", b"[" * 100_000, ["line 1 of", "not JSON"]),
        ("a.jsonl", b'{"text": "\\ud83d"}', ["line 1 of", "surrogate"]),
        ("a.jsonl", b'{"text": 5}', ["`text` in line 1 of", "no text"]),
        ("a.jsonl", b" \n", ["holds no rows"]),
        ("a.csv", b"", ["holds no rows"]),
        ("a.csv", b"text\n", ["holds no rows"]),
        ("a.csv", b"text,text\na,b\n", ["two columns", "text"]),
        ("a.csv", b"text,label\na,b\n\nhello, world,b\n", ["row 2 of", "3 fields", "quotes"]),
        ("a.csv", b'text\n"a" b\n', ["line 2 of", "not CSV"]),
        ("a.csv", b"text\n\xe9\n", ["line 2 of", "not UTF-8"]),
        ("a.parquet", b"PAR1", ["a.parquet", "no whole Parquet", "again"]),
    ],
)
def test_bad_files(name, content, words, tmp_path):
    (tmp_path / name).write_bytes(content)
    refused(tmp_path, str(tmp_path / name), *words)


def test_bad_folders(tmp_path):
    refused(tmp_path, str(tmp_path / "none.jsonl"), "cannot read", "no such file")
    refused(tmp_path, str(tmp_path), "dataset_info.json", "save_to_disk")
    datasets.Dataset.from_list(ROWS).save_to_disk(tmp_path / "saved")
    (tmp_path / "saved/data-00000-of-00001.arrow").write_bytes(b"xx")
    refused(tmp_path, str(tmp_path / "saved"), "no whole saved dataset", "again")


def test_a_long_field_of_a_table(tmp_path):
    text, before = "w10 " * 100_000, csv.field_size_limit()
    (tmp_path / "a.csv").write_text(f"text\n{text}\n")
    assert read_rows(tmp_path / "a.csv").rows[0]["text"] == text
    assert csv.field_size_limit() == before


def test_neither_torch_nor_datasets_to_read_lines(tmp_path):
    """In an interpreter that has neither."""
    lines(tmp_path / "a.jsonl", [ROW])
    (tmp_path / "a.parquet").write_bytes(b"")
    code = (
        "import sys; sys.modules.update(dict.fromkeys(['torch', 'datasets', 'pyarrow']))\n"
        "from trainer.dataset import columns, report, split\n"
        "from trainer.dataset.read import read_rows\n"
        "print(columns.form_of(read_rows(sys.argv[1]).columns))\n"
        "try: read_rows(sys.argv[2])\n"
        "except ValueError as error: print(error)"
    )
    files = [str(tmp_path / name) for name in ("a.jsonl", "a.parquet")]
    done = subprocess.run(
        [sys.executable, "-c", code, *files], check=True, capture_output=True, text=True
    )
    form, message = done.stdout.splitlines()
    assert form == "completion"
    assert "pip install 'tailora[train]'" in message
