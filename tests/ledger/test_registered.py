"""Registered datasets are entries of the operator's folders, and nothing else."""

import os
from pathlib import Path

import pytest

from ledger.registered import find, registered


@pytest.fixture
def root(tmp_path):
    folder = tmp_path / "registered"
    folder.mkdir()
    (folder / "a.jsonl").write_text('{"text": "a"}\n')
    (folder / "B.CSV").write_text("text\na\n")
    (folder / "ä ö.parquet").write_bytes(b"PAR1")
    (folder / "saved").mkdir()
    for name, content in (("dataset_info.json", b"{}"), ("data-00000.arrow", b"12345")):
        (folder / "saved" / name).write_bytes(content)
    return folder.resolve()


def names(*roots):
    return [one.name for one in registered(roots)]


def test_files_and_saved_folders(root):
    found = {one.name: one for one in registered([root])}
    assert {name: (one.format, one.bytes) for name, one in found.items()} == {
        "B.CSV": ("csv", 7), "a.jsonl": ("jsonl", 14), "saved": ("folder", 7),
        "ä ö.parquet": ("parquet", 4),
    }  # fmt: skip
    assert all(one.path == root / name for name, one in found.items())
    assert {name: find([root], name) for name in found} == found
    changed = (root / "a.jsonl").stat().st_mtime
    assert found["a.jsonl"].changed_at == changed


@pytest.mark.parametrize(
    "name",
    ["../registered/a.jsonl", "./a.jsonl", "/etc/passwd", "saved/data-00000.arrow", "..", ".", "",
     "a.jsonl/", "a", "A.JSONL", "a.jsonl\0", "*"],
)  # fmt: skip
def test_only_a_whole_name_finds_one(root, name):
    assert find([root], name) is None


def test_what_is_passed_over(root, tmp_path):
    before = names(root)
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "secret.jsonl").write_text("{}")
    (root / "link.jsonl").symlink_to(outside / "secret.jsonl")
    (root / "linked").symlink_to(outside)
    (root / "nowhere.jsonl").symlink_to(root / "nothing")
    (root / "round.jsonl").symlink_to(root / "round.jsonl")
    (root / ".hidden.jsonl").write_text("{}")
    (root / "bell\a.jsonl").write_text("{}")
    (root / "model.bin").write_text("{}")
    (root / "folder.jsonl").mkdir()
    (root / "dts_00ff").mkdir()
    (root / "dts_00ff" / "dataset_info.json").write_text("{}")
    (root / "partly").mkdir()
    (root / "partly" / "dataset_info.json").write_text("{}")
    (root / "partly" / "data-00000.arrow").symlink_to(outside / "secret.jsonl")
    os.mkfifo(root / "pipe.jsonl")
    Path(os.fsdecode(os.fsencode(root) + b"/\xff.jsonl")).write_text("{}")
    assert names(root) == before
    for entry in root.iterdir():
        assert (find([root], entry.name) is not None) == (entry.name in before)


def test_a_link_inside_keeps_its_own_name(root):
    (root / "again.jsonl").symlink_to("a.jsonl")
    found = find([root], "again.jsonl")
    assert found is not None
    assert (found.format, found.path) == ("jsonl", root / "again.jsonl")


def test_the_first_of_several_folders_counts(root, tmp_path):
    other = tmp_path / "other"
    other.mkdir()
    (other / "a.jsonl").write_text("{}")
    (other / "c.csv").write_text("text\n")
    assert names(root, other) == ["B.CSV", "a.jsonl", "c.csv", "saved", "ä ö.parquet"]
    assert find([root, other], "a.jsonl").path == root / "a.jsonl"
    assert find([other, root], "a.jsonl").path == other / "a.jsonl"
    assert names(tmp_path / "nowhere") == names() == []
