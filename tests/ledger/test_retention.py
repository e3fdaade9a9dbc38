"""What is old goes, what is needed stays."""

import os
import time
from pathlib import Path

import pytest
from sqlalchemy import select, update

from ledger.access import Ledger
from ledger.clock import now
from ledger.results import get_result, put_result
from ledger.retention import DAY, keep_tidy, prune
from ledger.settings import load_settings
from ledger.tables import artifacts, events, jobs, links, results, units
from tests.ledger.make import add, add_job, add_plan, at_once, change, count, job
from worker.embedded import start_over

INLINE = 100


@pytest.fixture
def ledger(database, tmp_path):
    url = database.url.render_as_string(hide_password=False)
    ledger = Ledger(
        load_settings(data=tmp_path / "data", database_url=url, inline_bytes=INLINE, keep_days=30.0)
    )
    yield ledger
    ledger.database.close()


def end(connection, *job_ids, days: float, state="succeeded") -> None:
    for job_id in job_ids:
        finished = now() - days * DAY
        values = {"state": state, "finished_at": finished, "phase": None}
        connection.execute(update(jobs).where(jobs.c.id == job_id).values(**values))


def kept(ledger) -> set[str]:
    with ledger.database.read() as connection:
        return set(connection.scalars(select(jobs.c.id)))


def total(steps):
    steps = list(steps)
    return sum(step.jobs for step in steps), sum(step.artifacts for step in steps)


def files(ledger) -> list[Path]:
    return [path for path in (ledger.settings.data / "artifacts").rglob("*") if path.is_file()]


def test_old_jobs_go_with_all_that_was_theirs(ledger, database):
    with database.write() as connection:
        old, young, running = (add_job(connection) for _ in range(3))
        for job_id in (old, young, running):
            change(connection, units, add(connection, job_id), state="done")
        for job_id, document in ((old, "o" * 500), (young, "y" * 500)):
            put_result(connection, ledger.artifacts, job_id, document, None)
        end(connection, old, days=8)
        end(connection, young, days=6)
    assert len(files(ledger)) == 2
    assert total(prune(ledger, 7.0)) == (1, 1)
    assert kept(ledger) == {young, running}
    assert [count(database, table) for table in (units, links, results, artifacts)] == [2, 2, 1, 1]
    assert count(database, events) == 2
    assert len(files(ledger)) == 1
    with database.read() as connection:
        assert get_result(connection, ledger.artifacts, young) == "y" * 500
    assert total(prune(ledger, 7.0)) == (0, 0)


def test_what_others_need_stays(ledger, database):
    with database.write() as connection:
        plan, own = add_plan(connection)
        shared, lonely = add_job(connection), add_job(connection)
        user = add_job(connection, "plan", phase="waiting", analysis_id=shared)
        young = add_job(connection, "plan", phase="waiting", analysis_id=lonely)
        end(connection, own, shared, lonely, days=90)
        end(connection, young, days=1)
    assert total(prune(ledger, 30.0)) == (0, 0)
    with database.write() as connection:
        end(connection, plan, user, days=40)
    assert total(prune(ledger, 30.0))[0] == 4
    assert kept(ledger) == {lonely, young}


def test_more_than_one_batch(ledger, database, monkeypatch):
    monkeypatch.setattr("ledger.retention.BATCH", 7)
    with database.write() as connection:
        for number in range(30):
            job_id = add_job(connection)
            put_result(connection, ledger.artifacts, job_id, f"{number:x}" * 200, None)
            end(connection, job_id, days=2)
    steps = list(prune(ledger, 1.0))
    assert total(steps) == (30, 30)
    assert all(step.jobs <= 7 and step.artifacts <= 7 for step in steps)
    assert (kept(ledger), files(ledger)) == (set(), [])


@pytest.mark.parametrize("size", [INLINE, 10 * INLINE])
def test_nobody_loses_a_document_while_old_ones_go(ledger, database, size):
    """The same bytes are put again and again while whoever had them before is pruned."""
    document = "d" * size

    def put(times=15):
        for _ in range(times):
            with database.write() as connection:
                job_id = add_job(connection)
                put_result(connection, ledger.artifacts, job_id, document, None)
                end(connection, job_id, days=0)
            with database.read() as connection:
                if job_id in set(connection.scalars(select(jobs.c.id))):
                    assert get_result(connection, ledger.artifacts, job_id) == document
            with database.write() as connection:
                end(connection, job_id, days=3)

    def go(times=15):
        for _ in range(times):
            list(prune(ledger, 1.0))

    at_once(put, put, go, go)
    list(prune(ledger, 1.0))
    assert (kept(ledger), files(ledger), count(database, artifacts)) == (set(), [], 0)


def test_tidying_up(ledger, database):
    with database.write() as connection:
        old, young = add_job(connection), add_job(connection)
        put_result(connection, ledger.artifacts, young, "y" * 500, None)
        end(connection, old, days=31)
        end(connection, young, days=29)
    (folder,) = {path.parent for path in files(ledger)}
    for name, age in ((".new-old", 7200), (".new-young", 60)):
        (folder / name).write_bytes(b"half")
        os.utime(folder / name, (time.time() - age,) * 2)
    keep_tidy(ledger)
    assert kept(ledger) == {young}
    assert {path.name for path in files(ledger) if "new" in path.name} == {".new-young"}
    assert job(database, young)["state"] == "succeeded"


def test_drafts_of_before_go_when_one_machine_starts_over(ledger):
    """Nobody else writes there then, so that their age does not matter."""
    with ledger.artifacts.draft() as draft:
        draft.write(b"half")
        start_over(ledger)
        assert files(ledger) == []
