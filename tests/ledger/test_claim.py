"""Units are claimed by one worker at a time, as long as somebody wants them."""

import pytest

from ledger.adding import link
from ledger.tables import jobs, units
from ledger.units import expire_all, finish, give_back_all, postpone, progress
from tests.ledger.make import add, add_job, at_once, change, held, take, unit, waits


@pytest.fixture
def job_id(database):
    with database.write() as connection:
        return add_job(connection)


@pytest.fixture
def unit_id(database, job_id):
    with database.write() as connection:
        return add(connection, job_id, payload={"files": ["a"]}, seconds=50.0)


def test_one_of_eight_gets_a_unit(database, job_id):
    def claim_from(worker):
        with database.write() as connection:
            return take(connection, unit_id, worker)

    for _ in range(5):
        with database.write() as connection:
            unit_id = add(connection, job_id)
        workers = [f"wrk_{number}" for number in range(8)]
        found = at_once(*[lambda worker=worker: claim_from(worker) for worker in workers])
        winners = [worker for worker, claim in zip(workers, found, strict=True) if claim]
        assert len(winners) == 1
        row = unit(database, unit_id)
        assert (row["worker"], row["attempt"], row["stalls"]) == (winners[0], 1, 1)


def test_what_a_claim_says(database, unit_id):
    with database.write() as connection:
        claim = take(connection, unit_id, "wrk_7", lease=20.0)
    assert (claim.unit_id, claim.attempt, claim.kind) == (unit_id, 1, "matrices")
    assert (claim.payload, claim.stalls) == ({"files": ["a"]}, 1)
    row = unit(database, unit_id)
    assert (row["state"], row["worker"]) == ("leased", "wrk_7")
    assert row["deadline_at"] - row["lease_until"] == pytest.approx(30.0, abs=1.0)


@pytest.mark.parametrize("state", ["queued", "sent"])
def test_waiting_units_are_free_whether_they_were_sent_or_not(database, unit_id, state):
    with database.write() as connection:
        change(connection, units, unit_id, state=state)
        assert take(connection, unit_id) is not None


@pytest.mark.parametrize("state", ["done", "failed", "cancelled"])
def test_ended_units_are_not_claimed(database, unit_id, state):
    with database.write() as connection:
        change(connection, units, unit_id, state=state)
        assert take(connection, unit_id) is None
    assert unit(database, unit_id)["attempt"] == 0


def test_an_unknown_unit_is_not_claimed(database):
    with database.write() as connection:
        assert take(connection, "unt_0") is None


def test_a_held_unit_is_free_when_its_lease_is_over(database, job_id):
    first = held(database, job_id, lease=60.0)
    with database.write() as connection:
        assert take(connection, first.unit_id) is None
        change(connection, units, first.unit_id, lease_until=0.0)
        second = take(connection, first.unit_id, "wrk_2")
    assert (second.attempt, second.stalls) == (2, 2)
    assert unit(database, first.unit_id)["worker"] == "wrk_2"


@pytest.mark.parametrize("state", ["cancelling", "cancelled", "failed", "succeeded"])
def test_a_unit_is_claimed_where_any_job_wants_it(database, job_id, unit_id, state):
    with database.write() as connection:
        change(connection, jobs, job_id, state=state)
        assert take(connection, unit_id) is None
        link(connection, add_job(connection, owner="ben"), [unit_id])
        assert take(connection, unit_id) is not None


def test_starts_without_progress_are_capped(database, unit_id):
    for start in range(1, 4):
        with database.write() as connection:
            claim = take(connection, unit_id, attempts=3)
            assert (claim.attempt, claim.stalls) == (start, start)
            expire_all(connection)
    with database.write() as connection:
        assert take(connection, unit_id, attempts=3) is None
        assert take(connection, unit_id, attempts=4) is not None


def test_progress_makes_earlier_starts_count_no_more(database, unit_id):
    for _ in range(3):
        with database.write() as connection:
            claim = take(connection, unit_id, attempts=3)
            expire_all(connection)
    with database.write() as connection:
        assert progress(connection, claim, lease=60.0)
        assert unit_of(connection, unit_id).stalls == 1  # this start counts, the others do not
        expire_all(connection)
        again = take(connection, unit_id, attempts=3)
    assert (again.attempt, again.stalls) == (4, 2)


def unit_of(connection, unit_id):
    return connection.execute(units.select().where(units.c.id == unit_id)).one()


def test_a_new_start_counts_what_is_done_from_nothing(database, unit_id):
    with database.write() as connection:
        claim = take(connection, unit_id)
        assert progress(connection, claim, lease=60.0)
        assert progress(connection, claim, lease=60.0)
        assert unit_of(connection, unit_id).done == 2
        expire_all(connection)
        take(connection, unit_id)
        assert unit_of(connection, unit_id).done == 0


def test_what_is_given_back_was_no_start(database, job_id):
    mine, done, late = (held(database, job_id) for _ in range(3))
    with database.write() as connection:
        finish(connection, done, {})
        change(connection, units, late.unit_id, worker="wrk_2")
        assert give_back_all(connection, "wrk_1") == 1
        again = take(connection, mine.unit_id)
    assert (again.attempt, again.stalls) == (2, 1)
    assert unit(database, done.unit_id)["state"] == "done"
    assert unit(database, late.unit_id)["state"] == "leased"


def test_what_a_dead_worker_held_is_free_and_was_a_start(database, job_id):
    mine, others = held(database, job_id), held(database, job_id)
    with database.write() as connection:
        change(connection, units, others.unit_id, worker="wrk_2")
        assert expire_all(connection, "wrk_1") == 1
        assert take(connection, mine.unit_id).stalls == 2
        assert take(connection, others.unit_id) is None
        change(connection, units, mine.unit_id, state="done", lease_until=7.0)
        assert expire_all(connection) == 1  # the other's; what is done has no lease to end
    assert unit(database, mine.unit_id)["lease_until"] == 7.0


def test_a_unit_that_was_put_off_is_not_claimed_before(database, unit_id):
    """A message may be doubled, or come late: the wait holds all the same."""
    with database.write() as connection:
        claim = take(connection, unit_id)
        assert postpone(connection, claim, 30.0)
        assert take(connection, unit_id) is None
        assert (
            unit_of(connection, unit_id).not_before > unit_of(connection, unit_id).created_at + 29
        )
        change(connection, units, unit_id, not_before=1.0)
        assert take(connection, unit_id).stalls == 2


def test_a_claim_waits_for_a_cancel_that_is_under_way(database, job_id, unit_id, meanwhile):
    def claim_it():
        with database.write() as connection:
            return take(connection, unit_id)

    with database.write() as connection:
        change(connection, jobs, job_id, state="cancelling")
        claim = meanwhile(claim_it)
        assert waits(claim)
    assert claim.result(10) is None
