"""Uploaded datasets: whose they are, how much room they take, and when they may go."""

import hashlib
import os
import time

import pytest

from analyzer.errors import StoreError
from ledger import datasets
from ledger.artifacts import Artifacts
from ledger.datasets import NewDataset
from ledger.errors import Conflict, DamagedArtifact, NoRoom, NotFound, QuotaExceeded
from ledger.reach import Reach
from ledger.tables import artifacts, jobs
from ledger.tables import datasets as table
from tests.ledger.make import add_job, at_once, change, count, waits

ANN, BEN, ALL = Reach("ann"), Reach("ben"), Reach(None)
LARGE = b"x" * 500


@pytest.fixture
def kept(database, tmp_path):
    """Artifacts above 100 bytes are files."""
    return Artifacts(tmp_path / "data" / "artifacts", 100)


def upload(connection, kept, owner="ann", content=LARGE, **given) -> str:
    with kept.draft() as draft:
        draft.write(content)
        draft.finish()
        artifact = kept.put_file(connection, draft.path, draft.sha256)
    words = {"name": "a.csv", "format": "csv", "columns": ["text"], "labels": {}, **given}
    return datasets.create(
        connection, NewDataset(owner, bytes=len(content), artifact=artifact, **words)
    )


def files(kept):
    folder = kept.path_of("00").parent.parent
    return sorted(path.name for path in folder.rglob("*") if path.is_file())


def test_what_was_uploaded_is_there_for_its_owner(database, kept):
    with database.write() as connection:
        first = upload(connection, kept, name="ä.csv", labels={"team": "a"})
        second = upload(connection, kept, columns=None, format="parquet")
        foreign = upload(connection, kept, "ben")
    with database.read() as connection:
        found = datasets.get(connection, ANN, first)
        assert (found["name"], found["format"], found["bytes"]) == ("ä.csv", "csv", 500)
        assert (found["columns"], found["labels"]) == (["text"], {"team": "a"})
        assert found["artifact"] == hashlib.sha256(LARGE).hexdigest()
        assert abs(found["created_at"] - time.time()) < 60
        assert datasets.get(connection, ANN, second)["columns"] is None
        assert datasets.get(connection, ALL, foreign)["owner"] == "ben"
        for wrong in (foreign, "dts_00"):
            with pytest.raises(NotFound, match=wrong):
                datasets.get(connection, ANN, wrong)
    assert files(kept) == [hashlib.sha256(LARGE).hexdigest()]


def test_pages(database, kept):
    with database.write() as connection:
        made = [upload(connection, kept) for _ in range(5)]
        upload(connection, kept, "ben")
    with database.read() as connection:

        def page(**how):
            return [row["id"] for row in datasets.list_datasets(connection, ANN, **how)]

        newest = sorted(made, reverse=True)
        assert page(before=None, limit=10) == newest
        assert page(before=None, limit=2) == newest[:3], "one more says that there are more"
        assert page(before=newest[2], limit=2) == newest[3:]
        assert len(datasets.list_datasets(connection, ALL, before=None, limit=10)) == 6


@pytest.mark.parametrize("part", ["train", "held_out"])
def test_a_job_that_has_not_ended_keeps_its_dataset(database, kept, part):
    with database.write() as connection:
        needed, free = upload(connection, kept), upload(connection, kept)
        job_id = add_job(connection)
        part = {"train": {"id": needed}} if part == "train" else {"train": {}, part: {"id": needed}}
        change(connection, jobs, job_id, request={"words": {}, "data": part})
        named = add_job(connection)
        change(connection, jobs, named, request={"words": {"dataset": needed}, "data": {}})
    for state in ("queued", "running", "cancelling"):
        with database.write() as connection:
            change(connection, jobs, job_id, state=state)
        with pytest.raises(Conflict, match=job_id), database.write() as connection:
            datasets.remove(connection, ANN, needed)
    with database.write() as connection:
        datasets.remove(connection, ANN, free)
        change(connection, jobs, job_id, state="failed")
        with pytest.raises(NotFound):
            datasets.remove(connection, BEN, needed)
        datasets.remove(connection, ANN, needed)
    assert count(database, table) == 0


def test_whoever_holds_one_is_waited_for(database, kept, meanwhile):
    """A job may be made of it until then, and is seen."""
    with database.write() as connection:
        dataset_id = upload(connection, kept)

    def remove():
        with database.write() as own:
            datasets.remove(own, ANN, dataset_id)

    with database.write() as connection:
        datasets.get(connection, ANN, dataset_id, hold=True)
        removing = meanwhile(remove)
        assert waits(removing)
        job_id = add_job(connection)
        change(connection, jobs, job_id, request={"data": {"train": {"id": dataset_id}}})
    with pytest.raises(Conflict, match=job_id):
        removing.result(30)


def test_bytes_go_with_the_last_dataset_that_has_them(database, kept):
    with database.write() as connection:
        one, other = upload(connection, kept), upload(connection, kept, "ben")
        kept.put(connection, b"y" * 500)  # what nobody asked to drop
    for dataset_id, left in ((one, 2), (other, 1)):
        with database.write() as connection:
            artifact = datasets.remove(connection, ALL, dataset_id)
        with database.write() as connection:
            kept.drop_unused(connection, 1, {artifact})
        assert (count(database, artifacts), len(files(kept))) == (left, left)


def test_the_room_of_an_owner(make_ledger):
    ledger = make_ledger(datasets_total_bytes=1000, submit_rate=0)
    kept = ledger.artifacts
    with ledger.database.write() as connection:
        upload(connection, kept)
        upload(connection, kept, "ben")
        datasets.take_room(connection, ledger.settings, "ann", 500)
        with pytest.raises(NoRoom, match=r"500 bytes, and with 501 more .* more than 1000"):
            datasets.take_room(connection, ledger.settings, "ann", 501)
        any_size = ledger.settings.model_copy(update={"datasets_total_bytes": 0})
        datasets.take_room(connection, any_size, "ann", 10**12)


def test_several_at_once_do_not_pass_together(make_ledger):
    ledger = make_ledger(datasets_total_bytes=1000, submit_rate=0)

    def one():
        try:
            with ledger.database.write() as connection:
                datasets.take_room(connection, ledger.settings, "ann", 500)
                upload(connection, ledger.artifacts, content=os.urandom(500))
        except NoRoom:
            return 0
        return 1

    assert sum(at_once(*[one] * 6)) == 2
    assert count(ledger.database, table) == 2


def test_uploads_are_submissions(make_ledger):
    ledger = make_ledger(submit_rate=0.001, submit_burst=2)
    for _ in range(2):
        with ledger.database.write() as connection:
            datasets.take_room(connection, ledger.settings, "ann", 1)
    with pytest.raises(QuotaExceeded), ledger.database.write() as connection:
        datasets.take_room(connection, ledger.settings, "ann", 1)


@pytest.mark.parametrize("content", [b"", b"x" * 100, b"x" * 101, os.urandom(3_000_000)])
def test_a_file_is_kept_as_bytes_are(database, kept, tmp_path, content):
    for known in (True, False):
        with kept.draft() as draft, database.write() as connection:
            for first in range(0, len(content), 70_000):
                draft.write(content[first : first + 70_000])
            draft.finish()
            sha256 = draft.sha256 if known else None
            digest = kept.put_file(connection, draft.path, sha256)
            assert not draft.path.exists()
            assert kept.get(connection, digest) == content
        assert digest == hashlib.sha256(content).hexdigest()
        place = tmp_path / "run" / "data.jsonl"
        assert kept.file_of(database, digest, place) == place
        assert place.read_bytes() == content
    assert len(files(kept)) == (len(content) > 100)


def test_a_file_that_was_given_outlasts_its_artifact(database, kept, tmp_path):
    with database.write() as connection:
        artifact = datasets.get(connection, ANN, upload(connection, kept))["artifact"]
        connection.execute(table.delete())
    place = kept.file_of(database, artifact, tmp_path / "data" / "run.csv")
    assert place.stat().st_nlink == 2, "it takes no room of its own"
    with database.write() as connection:
        assert kept.drop_unused(connection, 10) == 1
    assert place.read_bytes() == LARGE


@pytest.mark.parametrize("content", [b"small", LARGE])
def test_damaged_bytes_are_not_given_as_a_file(database, kept, tmp_path, content):
    with database.write() as connection:
        upload(connection, kept, content=content)
        connection.execute(
            artifacts.update().where(artifacts.c.content.is_not(None)).values(content=b"b")
        )
    digest = hashlib.sha256(content).hexdigest()
    if kept.path_of(digest).exists():
        kept.path_of(digest).write_bytes(content[:-1] + b"y")
    place = tmp_path / "run.csv"
    for wrong in (digest, "0" * 64):
        with pytest.raises(DamagedArtifact, match=wrong[:12]):
            kept.file_of(database, wrong, place)
        assert not place.exists()
    with database.write() as connection:
        upload(connection, kept, content=content)
    assert kept.file_of(database, digest, place).read_bytes() == content


def test_a_draft_that_is_not_kept_is_gone(database, kept, monkeypatch):
    with kept.draft() as draft:
        draft.write(LARGE)
        assert draft.path.exists()
    assert files(kept) == []

    def full(number):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(StoreError, match=r"No space left.*TAILORA_DATA"), kept.draft() as draft:
        draft.finish()
    assert files(kept) == []


def test_a_draft_of_a_process_that_died_is_swept(kept):
    with kept.draft() as draft:
        draft.write(LARGE)
        assert kept.sweep(3600.0) == 0
        assert draft.path.exists()
        os.utime(draft.path, (time.time() - 7200,) * 2)
        assert kept.sweep(3600.0) == 1
        assert not draft.path.exists()
