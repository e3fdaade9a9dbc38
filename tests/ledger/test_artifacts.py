"""Bytes, outlines and documents come back as they were kept, or not at all."""

import hashlib
import os
from pathlib import Path

import pytest

from analyzer.errors import StoreError
from analyzer.outline import Outline
from ledger.artifacts import Artifacts
from ledger.errors import DamagedArtifact
from ledger.outlines import KnownFile, KnownModel, get_outline, put_outline
from ledger.results import get_result, put_result, result_artifact
from ledger.tables import artifacts, results
from tests.ledger.make import add_job, at_once, count

CONTENTS = [b"", b"a", b"\x00\xff" * 50, b"x" * 100, b"x" * 101, os.urandom(5000)]


def sha256(content):
    return hashlib.sha256(content).hexdigest()


@pytest.fixture
def folder(tmp_path) -> Path:
    return tmp_path / "data" / "artifacts"


@pytest.fixture
def kept(database, folder):
    """Artifacts above 100 bytes are files."""
    return Artifacts(folder, 100)


def files(folder):
    return sorted(path.name for path in folder.rglob("*") if path.is_file())


def test_bytes_come_back_by_their_sha256(database, kept, folder):
    with database.write() as connection:
        for content in CONTENTS:
            assert kept.put(connection, content) == sha256(content)
    with database.read() as connection:
        for content in CONTENTS:
            assert kept.get(connection, sha256(content)) == content
        wanted = [sha256(content) for content in CONTENTS]
        assert kept.get_all(connection, [*wanted, "0" * 64]) == dict(
            zip(wanted, CONTENTS, strict=True)
        )
    assert files(folder) == sorted(sha256(content) for content in CONTENTS[4:])


def test_small_ones_are_in_the_database_alone(database, kept, folder):
    with database.write() as connection:
        kept.put(connection, b"x" * 100)
        row = connection.execute(artifacts.select()).one()
    assert (row.bytes, bytes(row.content)) == (100, b"x" * 100)
    assert not folder.exists()


def test_what_is_put_again_is_kept_once(database, kept):
    for _ in range(3):
        with database.write() as connection:
            kept.put(connection, b"a")
            kept.put(connection, b"x" * 500)
    assert count(database, artifacts) == 2

    def put():
        with database.write() as connection:
            return kept.put(connection, b"y" * 500)

    assert set(at_once(*[put] * 6)) == {sha256(b"y" * 500)}
    assert count(database, artifacts) == 3


@pytest.mark.parametrize("content", [b"a", b"x" * 500])
def test_damaged_bytes_are_not_given_and_whole_when_they_are_put_again(
    database, kept, folder, content
):
    with database.write() as connection:
        digest = kept.put(connection, content)
        connection.execute(
            artifacts.update().where(artifacts.c.content.is_not(None)).values(content=b"b")
        )
    for name in files(folder):
        (folder / name[:2] / name).write_bytes(content[:-1])
    with database.write() as connection:
        assert kept.get_all(connection, [digest]) == {}
        with pytest.raises(DamagedArtifact, match="run the job again"):
            kept.get(connection, digest)
        assert kept.put(connection, content) == digest
        assert kept.get(connection, digest) == content


def test_what_was_never_kept_is_refused(database, kept):
    with database.read() as connection, pytest.raises(DamagedArtifact, match="0000"):
        kept.get(connection, "0" * 64)


@pytest.mark.parametrize(("before", "after"), [(0, 1000), (1000, 0)])
def test_another_limit_reads_what_was_kept_under_the_old_one(database, folder, before, after):
    content = b"x" * 500
    with database.write() as connection:
        digest = Artifacts(folder, before).put(connection, content)
    later = Artifacts(folder, after)
    with database.write() as connection:
        assert later.get(connection, digest) == content
        later.put(connection, content)
        assert later.get(connection, digest) == content


def test_a_reader_never_sees_half_a_file(database, kept, folder, monkeypatch):
    """The name appears with all of the bytes, after they are on the disk."""
    steps = []
    replace, fsync = Path.replace, os.fsync

    def watched(draft, path):
        assert draft.read_bytes() == b"x" * 500
        assert not Path(path).exists()
        assert draft.parent == Path(path).parent
        steps.append("named")
        return replace(draft, path)

    monkeypatch.setattr(os, "fsync", lambda number: steps.append("on the disk") or fsync(number))
    monkeypatch.setattr(Path, "replace", watched)
    with database.write() as connection:
        digest = kept.put(connection, b"x" * 500)
    assert steps == ["on the disk", "named"]
    assert files(folder) == [digest]


def test_a_disk_that_is_full_is_named_and_leaves_no_draft(database, kept, folder, monkeypatch):
    def full(number):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(StoreError, match=r"No space left.*TAILORA_DATA"), database.write() as own:
        kept.put(own, b"x" * 500)
    assert files(folder) == []
    assert count(database, artifacts) == 0


def known(name="model"):
    outline = Outline(model=name, files=(), stacks=(), matrices=(), skipped=())
    found = {"a.safetensors": KnownFile(12, "a" * 64, True), "ä": KnownFile(0, "b" * 64, False)}
    return KnownModel(outline, found, ("slow",))


def test_an_outline_comes_back(database, kept):
    with database.write() as connection:
        assert get_outline(connection, kept, "k" * 64) is None
        put_outline(connection, kept, "k" * 64, known())
        assert get_outline(connection, kept, "k" * 64) == known()
        assert get_outline(connection, kept, "l" * 64) is None


def test_a_damaged_outline_is_as_if_nobody_had_read_it(database, kept):
    with database.write() as connection:
        put_outline(connection, kept, "k" * 64, known())
        for wrong in (b"b", b"x" * 500):
            connection.execute(artifacts.update().values(content=wrong))
            assert get_outline(connection, kept, "k" * 64) is None
        put_outline(connection, kept, "k" * 64, known("the same in other words"))
        assert get_outline(connection, kept, "k" * 64) == known("the same in other words")


def test_a_document_comes_back_and_the_last_one_stays(database, kept):
    with database.write() as connection:
        job_id, other = add_job(connection), add_job(connection)
        assert get_result(connection, kept, job_id) is None
        assert result_artifact(connection, job_id) is None
        put_result(connection, kept, job_id, '{"ä": 1}', "d" * 64)
        assert get_result(connection, kept, job_id) == '{"ä": 1}'
        assert result_artifact(connection, job_id) == sha256('{"ä": 1}'.encode())
        put_result(connection, kept, job_id, "{}", None)
        assert get_result(connection, kept, job_id) == "{}"
        row = connection.execute(results.select()).one()
        assert (row.job_id, row.digest) == (job_id, None)
        assert get_result(connection, kept, other) is None
        connection.execute(artifacts.update().values(content=b"b"))
        with pytest.raises(DamagedArtifact):
            get_result(connection, kept, job_id)
