"""Cancel: waiting units go at once, running ones within a heartbeat, others' work stays."""

import pytest

from ledger.errors import NotFound
from ledger.jobs import cancel
from ledger.reach import Reach
from ledger.settle import settle_unit, started
from ledger.tables import jobs, units
from ledger.units import drop, finish, heartbeat
from tests.ledger.make import (
    add,
    add_job,
    add_plan,
    change,
    held,
    job,
    states,
    take,
    told,
    unit,
    waits,
)  # fmt: skip


def stop(database, job_id, kind="analysis", owner="ann"):
    with database.write() as connection:
        return cancel(connection, Reach(owner), kind, job_id)


def leave(database, claim):
    """As a worker does that was told to stop."""
    with database.write() as connection:
        assert drop(connection, claim)
        settle_unit(connection, claim.unit_id)


@pytest.fixture
def job_id(database):
    with database.write() as connection:
        return add_job(connection)


def test_a_waiting_job_is_cancelled_at_once(database, job_id):
    with database.write() as connection:
        queued, sent = add(connection, job_id), add(connection, job_id)
        change(connection, units, sent, state="sent")
    assert stop(database, job_id) is True
    assert states(database) == {queued: "cancelled", sent: "cancelled"}
    row = job(database, job_id)
    assert (row["state"], row["phase"], row["error"]) == ("cancelled", None, None)
    assert row["finished_at"] is not None
    assert told(database, job_id) == ["queued", "cancelling", "cancelled"]


def test_cancelling_is_seen_until_the_running_unit_stops(database, job_id):
    first, second = held(database, job_id), held(database, job_id)
    assert stop(database, job_id) is True
    assert job(database, job_id)["state"] == "cancelling"
    with database.write() as connection:
        assert heartbeat(connection, first, lease=60.0) is False
    leave(database, first)
    assert job(database, job_id)["state"] == "cancelling"
    leave(database, second)
    assert job(database, job_id)["state"] == "cancelled"
    assert states(database) == {first.unit_id: "cancelled", second.unit_id: "cancelled"}
    assert told(database, job_id) == ["queued", "cancelling", "cancelled"]


def test_a_unit_that_finishes_in_the_end_ends_the_cancelling_too(database, job_id):
    claim = held(database, job_id)
    stop(database, job_id)
    with database.write() as connection:
        assert finish(connection, claim, {})
        assert settle_unit(connection, claim.unit_id) == []
    assert job(database, job_id)["state"] == "cancelled"


@pytest.mark.parametrize("others", ["the same owner", "another"])
def test_a_shared_unit_goes_on(database, others):
    with database.write() as connection:
        mine = add_job(connection)
        other = add_job(connection, owner="ann" if others == "the same owner" else "ben")
        waiting, alone = add(connection, mine, other), add(connection, mine)
    running = held(database, mine, other)
    assert stop(database, mine) is True
    assert states(database, jobs) == {mine: "cancelled", other: "queued"}
    assert states(database) == {
        waiting: "queued", alone: "cancelled", running.unit_id: "leased",
    }  # fmt: skip
    with database.write() as connection:
        assert heartbeat(connection, running, lease=60.0) is True
        assert take(connection, waiting) is not None


def test_of_two_jobs_the_last_to_be_cancelled_stops_the_unit(database):
    with database.write() as connection:
        first, second = add_job(connection), add_job(connection)
    claim = held(database, first, second)
    stop(database, first)
    stop(database, second)
    assert states(database, jobs) == {first: "cancelled", second: "cancelling"}
    leave(database, claim)
    assert states(database, jobs) == {first: "cancelled", second: "cancelled"}


def test_a_plan_and_its_analysis_are_cancelled_together(database):
    with database.write() as connection:
        plan, analysis = add_plan(connection)
        waiting = add(connection, analysis)
    claim = held(database, analysis)
    assert stop(database, plan, "plan") is True
    assert states(database, jobs) == {plan: "cancelling", analysis: "cancelling"}
    assert states(database) == {waiting: "cancelled", claim.unit_id: "leased"}
    leave(database, claim)
    assert states(database, jobs) == {plan: "cancelled", analysis: "cancelled"}
    assert told(database, plan) == told(database, analysis) == ["queued", "cancelling", "cancelled"]


def test_a_plan_alone_is_cancelled_at_once(database):
    with database.write() as connection:
        analysis = add_job(connection)
        plan = add_job(connection, "plan", phase="waiting", analysis_id=analysis)
    claim = held(database, analysis)
    assert stop(database, plan, "plan") is True
    assert states(database, jobs) == {plan: "cancelled", analysis: "queued"}
    assert unit(database, claim.unit_id)["state"] == "leased"


def test_a_plan_whose_analysis_is_there_is_cancelled_at_once(database):
    with database.write() as connection:
        plan, analysis = add_plan(connection)
        change(connection, jobs, analysis, state="succeeded")
        change(connection, jobs, plan, state="running", phase="assembling")
    assert stop(database, plan, "plan") is True
    assert states(database, jobs) == {plan: "cancelled", analysis: "succeeded"}


def test_plans_end_with_the_analysis_that_was_cancelled(database):
    with database.write() as connection:
        plan, analysis = add_plan(connection)
        later = add_job(connection, "plan", phase="waiting", analysis_id=analysis)
    claim = held(database, analysis)
    assert stop(database, analysis) is True
    assert states(database, jobs) == {plan: "queued", later: "queued", analysis: "cancelling"}
    assert stop(database, plan, "plan") is True
    assert job(database, plan)["state"] == "cancelling"
    leave(database, claim)
    assert set(states(database, jobs).values()) == {"cancelled"}


@pytest.mark.parametrize("state", ["cancelling", "succeeded", "failed", "cancelled"])
def test_what_has_ended_or_was_asked_is_not_asked_again(database, job_id, state):
    claim = held(database, job_id)
    with database.write() as connection:
        change(connection, jobs, job_id, state=state)
    assert stop(database, job_id) is False
    assert job(database, job_id)["state"] == state
    assert told(database, job_id) == ["queued"]
    assert unit(database, claim.unit_id)["state"] == "leased"


@pytest.mark.parametrize(("owner", "kind"), [("ben", "analysis"), ("ann", "plan")])
def test_a_foreign_job_is_not_found(database, job_id, owner, kind):
    with pytest.raises(NotFound, match="there is no"):
        stop(database, job_id, kind, owner)
    assert job(database, job_id)["state"] == "queued"
    with pytest.raises(NotFound):
        stop(database, "ana_0")


def test_a_cancel_waits_for_a_claim_that_is_under_way(database, job_id, meanwhile):
    """And the claim does not wait for the cancel: neither is thrown out by the database."""
    with database.write() as connection:
        unit_id = add(connection, job_id)
    with database.write() as connection:
        assert take(connection, unit_id) is not None
        cancelled = meanwhile(stop, database, job_id)
        assert waits(cancelled)
        assert started(connection, unit_id) == [job_id]
    assert cancelled.result(10) is True
    assert (job(database, job_id)["state"], unit(database, unit_id)["state"]) == (
        "cancelling", "leased",
    )  # fmt: skip


def test_a_cancel_waits_for_a_unit_that_is_being_finished(database, job_id, meanwhile):
    claim = held(database, job_id)
    with database.write() as connection:
        waiting = add(connection, job_id)
    with database.write() as connection:
        assert finish(connection, claim, {})
        cancelled = meanwhile(stop, database, job_id)
        assert waits(cancelled)
        assert settle_unit(connection, claim.unit_id) == []
    assert cancelled.result(10) is True
    assert states(database) == {claim.unit_id: "done", waiting: "cancelled"}
    assert job(database, job_id)["state"] == "cancelled"


def test_a_cancel_of_a_plan_waits_for_its_analysis_to_end(database, meanwhile):
    """Everybody takes the analysis first."""
    with database.write() as connection:
        plan, analysis = add_plan(connection)
        unit_id = add(connection, analysis)
    with database.write() as connection:
        assert take(connection, unit_id) is not None
        cancelled = meanwhile(stop, database, plan, "plan")
        assert waits(cancelled)
        started(connection, unit_id)  # changes the plan too
    assert cancelled.result(10) is True
    assert states(database, jobs) == {plan: "cancelling", analysis: "cancelling"}
