"""Who lost a unit changes nothing of it, whatever it still believes."""

import pytest

from ledger.tables import jobs, targets, units
from ledger.units import (
    drop,
    expire_all,
    fail,
    finish,
    give_back_all,
    heartbeat,
    postpone,
    progress,
)  # fmt: skip
from tests.ledger.make import ERROR, add, add_job, change, count, held, take, unit, waits

WRITES = {
    "heartbeat": lambda connection, claim: heartbeat(connection, claim, lease=60.0),
    "progress": lambda connection, claim: progress(connection, claim, lease=60.0),
    "finish": lambda connection, claim: finish(connection, claim, {"solved": 1}),
    "fail": lambda connection, claim: fail(connection, claim, ERROR),
    "postpone": lambda connection, claim: postpone(connection, claim, 5.0),
    "drop": drop,
}


@pytest.fixture
def job_id(database):
    with database.write() as connection:
        return add_job(connection)


@pytest.mark.parametrize("write", WRITES)
@pytest.mark.parametrize("now", ["held by another", "queued", "sent", "done"])
def test_an_old_attempt_writes_nothing(database, job_id, write, now):
    old = held(database, job_id)
    with database.write() as connection:
        if now == "held by another":
            expire_all(connection)
            take(connection, old.unit_id, "wrk_2")
        elif now == "done":
            finish(connection, old, {"solved": 7})
        else:
            give_back_all(connection, "wrk_1")
            change(connection, units, old.unit_id, state=now)
        if write == "drop":
            change(connection, jobs, job_id, state="cancelled")
    before = dict(unit(database, old.unit_id))
    with database.write() as connection:
        assert WRITES[write](connection, old) is False
    assert dict(unit(database, old.unit_id)) == before


def test_an_old_attempt_waits_for_the_new_claim_and_loses(database, job_id, meanwhile):
    old = held(database, job_id, lease=-1.0)

    def finish_late():
        with database.write() as connection:
            return finish(connection, old, {})

    with database.write() as connection:
        assert take(connection, old.unit_id, "wrk_2").attempt == 2
        late = meanwhile(finish_late)
        assert waits(late)
    assert late.result(10) is False
    assert unit(database, old.unit_id)["state"] == "leased"


def test_a_heartbeat_extends_the_lease_alone(database, job_id):
    claim = held(database, job_id, lease=5.0)
    before = dict(unit(database, claim.unit_id))
    with database.write() as connection:
        assert heartbeat(connection, claim, lease=1000.0)
    after = dict(unit(database, claim.unit_id))
    assert after.pop("lease_until") - before.pop("lease_until") == pytest.approx(995.0, abs=2.0)
    assert after == before


def test_a_lease_that_ran_out_can_be_extended_while_nobody_has_taken_it(database, job_id):
    claim = held(database, job_id, lease=-1.0)
    with database.write() as connection:
        assert heartbeat(connection, claim, lease=60.0)
        assert take(connection, claim.unit_id) is None


@pytest.mark.parametrize("write", ["heartbeat", "progress"])
@pytest.mark.parametrize("why", ["deadline", "cancelling", "failed"])
def test_a_worker_is_told_to_stop(database, job_id, write, why):
    claim = held(database, job_id)
    with database.write() as connection:
        if why == "deadline":
            change(connection, units, claim.unit_id, deadline_at=1.0)
        else:
            change(connection, jobs, job_id, state=why)
    before = dict(unit(database, claim.unit_id))
    with database.write() as connection:
        assert WRITES[write](connection, claim) is False
    assert dict(unit(database, claim.unit_id)) == before


def test_only_what_nobody_wants_is_dropped(database, job_id):
    claim = held(database, job_id)
    with database.write() as connection:
        assert drop(connection, claim) is False
        change(connection, jobs, job_id, state="cancelling")
        assert drop(connection, claim) is True
    assert unit(database, claim.unit_id)["state"] == "cancelled"


@pytest.mark.parametrize(
    ("write", "state"), [("finish", "done"), ("fail", "failed"), ("drop", "cancelled")]
)
def test_the_end_of_a_unit_frees_its_key_and_its_spectra(database, job_id, write, state):
    digests = ("a" * 64, "b" * 64)
    other = held(database, job_id, digests=("c" * 64,))
    claim = held(database, job_id, key="k", digests=digests)
    assert count(database, targets) == 3
    with database.write() as connection:
        if write == "drop":
            change(connection, jobs, job_id, state="cancelling")
        assert WRITES[write](connection, claim) is True
    row = unit(database, claim.unit_id)
    assert (row["state"], row["key"]) == (state, None)
    assert row["finished_at"] >= row["created_at"]
    assert row["report"] == ({"solved": 1} if write == "finish" else None)
    assert row["error"] == (ERROR if write == "fail" else None)
    assert count(database, targets) == 1
    with database.write() as connection:
        again = add(connection, add_job(connection), key="k", digests=digests)
    assert again not in (claim.unit_id, other.unit_id)
    assert count(database, targets) == 3


def test_a_postponed_unit_waits_and_counts_its_start(database, job_id):
    claim = held(database, job_id)
    with database.write() as connection:
        assert postpone(connection, claim, 100.0)
    row = unit(database, claim.unit_id)
    assert (row["state"], row["stalls"]) == ("queued", 1)
    assert row["not_before"] - row["created_at"] == pytest.approx(100.0, abs=5.0)
