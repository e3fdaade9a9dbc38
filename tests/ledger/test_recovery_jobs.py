"""What the reaper does for jobs: each ends, whatever a race or a death left of it."""

import pytest

from ledger.recovery import recover
from ledger.tables import idempotency, jobs, units, workers
from ledger.units import finish
from tests.ledger.make import (
    ERROR,
    add,
    add_job,
    add_plan,
    change,
    count,
    held,
    job,
    states,
    told,
    workers_with,
)  # fmt: skip


@pytest.fixture
def reap(ledger):
    return lambda: recover(ledger.database, ledger.settings)


@pytest.fixture
def job_id(database):
    with database.write() as connection:
        return add_job(connection)


def test_jobs_that_wait_for_nothing_are_settled(database, reap):
    """What a link that was written while its unit ended leaves behind."""
    with database.write() as connection:
        done, outline, failed, waiting = (add_job(connection) for _ in range(4))
        change(connection, units, add(connection, done), state="done")
        change(connection, jobs, outline, phase="outline")
        change(connection, units, add(connection, failed), state="failed", error=ERROR)
        add(connection, waiting)
    assert set(reap().to_assemble) == {done, outline}
    assert job(database, done)["phase"] == job(database, outline)["phase"] == "assembling"
    assert (job(database, failed)["state"], job(database, failed)["error"]) == ("failed", ERROR)
    assert job(database, waiting)["phase"] == "measuring"


@pytest.mark.parametrize("state", ["succeeded", "failed", "cancelled", "deleted", "running"])
def test_a_plan_that_was_written_while_its_analysis_ended_follows_it(database, reap, state):
    with database.write() as connection:
        analysis = add_job(connection)
        plan = add_job(connection, "plan", phase="waiting", analysis_id=analysis)
        add(connection, analysis)
        if state == "deleted":
            connection.execute(jobs.delete().where(jobs.c.id == analysis))
        else:
            error = ERROR if state == "failed" else None
            change(connection, jobs, analysis, state=state, phase=None, error=error)
    found = reap()
    row = job(database, plan)
    if state == "succeeded":
        assert found.to_assemble == (plan,)
        assert (row["state"], row["phase"]) == ("running", "assembling")
    elif state == "running":
        assert (row["state"], row["phase"]) == ("queued", "waiting")
    elif state == "cancelled":
        assert row["state"] == "cancelled"
    else:
        assert row["state"] == "failed"
        code = ERROR["code"] if state == "failed" else "spectra_missing"
        assert row["error"]["code"] == code
    assert told(database, plan)[1:] == {
        "succeeded": ["measured"], "running": [], "cancelled": ["cancelled"],
    }.get(state, ["failed"])  # fmt: skip


@pytest.mark.parametrize("state", ["queued", "running"])
def test_a_job_whose_assembly_died_is_assembled_again(database, reap, state):
    """A plan from a stored analysis is queued, and assembled only after that was committed."""
    with database.write() as connection:
        new, died, at_it, gone = (add_job(connection, phase="assembling") for _ in range(4))
        for job_id, until in ((new, None), (died, 1.0), (at_it, 1e12), (gone, None)):
            change(connection, jobs, job_id, state=state, assemble_until=until)
        change(connection, jobs, gone, state="cancelled")
    assert set(reap().to_assemble) == {new, died}


def test_a_cancelled_job_ends_when_its_units_have(database, job_id, reap):
    claim = held(database, job_id)
    with database.write() as connection:
        change(connection, jobs, job_id, state="cancelling", phase=None)
    reap()
    assert job(database, job_id)["state"] == "cancelling"
    with database.write() as connection:
        finish(connection, claim, {})
    reap()
    assert job(database, job_id)["state"] == "cancelled"


def test_a_cancelled_plan_ends_when_its_analysis_has(database, reap):
    with database.write() as connection:
        plan, analysis = add_plan(connection)
        for job_id in (plan, analysis):
            change(connection, jobs, job_id, state="cancelling", phase=None)
    claim = held_by_nobody(database, analysis)
    reap()
    assert states(database) == {claim: "cancelled"}
    assert states(database, jobs) == {plan: "cancelled", analysis: "cancelled"}


def held_by_nobody(database, job_id):
    with database.write() as connection:
        unit_id = add(connection, job_id)
        change(connection, units, unit_id, state="leased", lease_until=1.0, deadline_at=1e12)
    return unit_id


def test_old_workers_and_keys_are_forgotten(database, job_id, reap):
    with database.write() as connection:
        for name in ("wrk_old", "wrk_young"):
            workers_with(connection, 1, name)
        now = connection.execute(workers.select()).first().seen_at
        change(connection, workers, "wrk_old", seen_at=now - 3700.0)
        change(connection, workers, "wrk_young", seen_at=now - 3500.0)
        for key, age in (("old", 86_500.0), ("young", 86_000.0)):
            connection.execute(
                idempotency.insert().values(
                    owner="ann", key=key, body_hash="h", job_id=job_id, status=202,
                    created_at=now - age,
                )
            )  # fmt: skip
    reap()
    assert count(database, workers) == count(database, idempotency) == 1
    with database.read() as connection:
        assert connection.scalar(workers.select()) == "wrk_young"
        assert connection.execute(idempotency.select()).one().key == "young"
