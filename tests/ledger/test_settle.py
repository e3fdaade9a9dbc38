"""What follows for jobs once a unit has ended."""

import pytest

from ledger.settle import fail_job, finish_job, linked_jobs, settle_job, settle_unit, started
from ledger.states import LIVE
from ledger.tables import jobs, units
from ledger.units import fail, finish
from tests.ledger.make import (
    ERROR,
    add,
    add_job,
    add_plan,
    at_once,
    change,
    held,
    job,
    states,
    take,
    told,
    unit,
    waits,
)  # fmt: skip


@pytest.fixture
def job_id(database):
    with database.write() as connection:
        return add_job(connection)


def end(database, claim, error=None):
    """As a worker does: end a unit and settle its jobs, in one transaction."""
    with database.write() as connection:
        ok = fail(connection, claim, error) if error else finish(connection, claim, {})
        assert ok
        return settle_unit(connection, claim.unit_id)


def stand(database, job_id):
    row = job(database, job_id)
    return row["state"], row["phase"]


def test_the_last_unit_makes_its_job_ready(database, job_id):
    first, second = held(database, job_id), held(database, job_id)
    with database.write() as connection:
        started(connection, first.unit_id)
    assert end(database, first) == []
    assert stand(database, job_id) == ("running", "measuring")
    assert end(database, second) == [job_id]
    assert stand(database, job_id) == ("running", "assembling")
    assert told(database, job_id) == ["queued", "started", "measured"]


def test_a_job_is_ready_once(database, job_id):
    claim = held(database, job_id)
    assert end(database, claim) == [job_id]
    with database.write() as connection:
        assert settle_unit(connection, claim.unit_id) == []
        assert settle_job(connection, job_id) is False
        assert settle_job(connection, "ana_0") is False
    assert told(database, job_id) == ["queued", "measured"]


def test_two_last_units_make_one_ready_job(database, job_id):
    for _ in range(10):
        with database.write() as connection:
            job_id = add_job(connection)
        claims = [held(database, job_id) for _ in range(4)]
        ready = at_once(*[lambda claim=claim: end(database, claim) for claim in claims])
        assert sorted(ready, key=len) == [[], [], [], [job_id]]
        assert told(database, job_id) == ["queued", "measured"]


def test_of_two_last_units_the_later_commit_makes_the_job_ready(database, job_id, meanwhile):
    first, second = held(database, job_id), held(database, job_id)
    with database.write() as connection:
        assert finish(connection, first, {})
        assert settle_unit(connection, first.unit_id) == []
        other = meanwhile(end, database, second)
        assert waits(other)
    assert other.result(10) == [job_id]


def test_every_job_of_a_unit_moves_on(database):
    with database.write() as connection:
        alone, both = add_job(connection), add_job(connection, owner="ben")
    shared, other = held(database, alone, both), held(database, both)
    assert end(database, shared) == [alone]
    assert end(database, other) == [both]


def test_a_failed_unit_fails_its_job_when_all_others_are_done(database, job_id):
    poison, other = held(database, job_id), held(database, job_id)
    assert end(database, poison, ERROR) == []
    assert job(database, job_id)["state"] == "queued"
    assert end(database, other) == []
    row = job(database, job_id)
    assert (row["state"], row["phase"], row["error"]) == ("failed", None, ERROR)
    assert row["finished_at"] is not None
    assert told(database, job_id) == ["queued", "failed"]


def test_the_first_error_is_the_jobs(database, job_id):
    claims = [held(database, job_id) for _ in range(2)]
    end(database, claims[1], {**ERROR, "detail": "the first one"})
    with database.write() as connection:
        change(connection, units, claims[1].unit_id, finished_at=5.0)
    end(database, claims[0], ERROR)
    assert job(database, job_id)["error"]["detail"] == "the first one"


def test_a_failed_job_stops_what_nobody_else_waits_for(database, job_id):
    with database.write() as connection:
        other = add_job(connection)
        queued, sent, shared = (
            add(connection, *ids) for ids in ([job_id], [job_id], [job_id, other])
        )
        change(connection, units, sent, state="sent")
    running = held(database, job_id)
    with database.write() as connection:
        fail_job(connection, job_id, ERROR)
    assert states(database) == {
        queued: "cancelled", sent: "cancelled", shared: "queued", running.unit_id: "leased",
    }  # fmt: skip
    assert states(database, jobs) == {job_id: "failed", other: "queued"}
    assert unit(database, queued)["error"] is None


def test_what_depends_on_a_failed_job_fails_with_its_error(database):
    with database.write() as connection:
        plan, analysis = add_plan(connection)
        later = add_job(connection, "plan", phase="waiting", analysis_id=analysis)
        foreign, _ = add_plan(connection, owner="ben")
        fail_job(connection, analysis, ERROR)
    for job_id in (analysis, plan, later):
        row = job(database, job_id)
        assert (row["state"], row["error"]) == ("failed", ERROR)
        assert told(database, job_id) == ["queued", "failed"]
    assert job(database, foreign)["state"] == "queued"


def test_what_has_ended_does_not_end_again(database):
    with database.write() as connection:
        plan, analysis = add_plan(connection)
        assert finish_job(connection, plan, "cancelled", "so it was asked")
        assert job_state(connection, analysis) == "cancelled"
        assert finish_job(connection, analysis, "failed", "late", error=ERROR) is False
    assert told(database, plan) == told(database, analysis) == ["queued", "cancelled"]
    assert job(database, analysis)["error"] is None


def job_state(connection, job_id):
    return connection.execute(jobs.select().where(jobs.c.id == job_id)).one().state


def test_a_plan_does_not_end_with_the_success_of_its_analysis(database):
    with database.write() as connection:
        plan, analysis = add_plan(connection)
        waiting = add(connection, analysis)
        assert finish_job(connection, analysis, "succeeded", "the analysis is there")
    assert states(database, jobs) == {plan: "queued", analysis: "succeeded"}
    assert states(database) == {waiting: "queued"}


def test_a_job_and_the_plans_that_wait_for_it_start_with_the_first_unit(database):
    with database.write() as connection:
        plan, analysis = add_plan(connection)
        other = add_job(connection)
        first, second = add(connection, analysis), add(connection, analysis)
        take(connection, first)
        assert started(connection, first) == [analysis]
    at = job(database, analysis)["started_at"]
    assert states(database, jobs) == {plan: "running", analysis: "running", other: "queued"}
    assert job(database, plan)["started_at"] is not None
    with database.write() as connection:
        take(connection, second)
        started(connection, second)
    assert job(database, analysis)["started_at"] == at
    assert told(database, plan) == told(database, analysis) == ["queued", "started"]


def test_only_jobs_in_the_asked_states_are_linked(database):
    with database.write() as connection:
        ids = [add_job(connection) for _ in range(3)]
        unit_id = add(connection, *ids)
        change(connection, jobs, ids[0], state="cancelling")
        change(connection, jobs, ids[1], state="running")
        assert linked_jobs(connection, unit_id, LIVE) == sorted(ids[1:])
        assert linked_jobs(connection, unit_id, ("cancelling",)) == [ids[0]]
