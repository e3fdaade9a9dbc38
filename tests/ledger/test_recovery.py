"""What the reaper puts right after a death."""

import pytest

from ledger.recovery import LATE, LOST, recover
from ledger.tables import jobs, units
from ledger.units import finish, progress
from tests.ledger.make import (
    add,
    add_job,
    change,
    held,
    job,
    states,
    take,
    unit,
)  # fmt: skip


@pytest.fixture
def reap(ledger):
    return lambda: recover(ledger.database, ledger.settings)


@pytest.fixture
def job_id(database):
    with database.write() as connection:
        return add_job(connection)


def expire(database, unit_id, **values):
    with database.write() as connection:
        change(connection, units, unit_id, **(values or {"lease_until": 1.0}))


def test_nothing_is_done_to_what_is_well(database, job_id, reap):
    held(database, job_id)
    with database.write() as connection:
        sent, _ = add(connection, job_id), add(connection, job_id)
        change(connection, units, sent, state="sent", sent_at=unit_time(connection, sent))
    before = states(database)
    found = reap()
    assert (found.requeued, found.failed, found.dropped, found.to_assemble) == ((), (), (), ())
    assert states(database) == before


def unit_time(connection, unit_id):
    return connection.execute(units.select().where(units.c.id == unit_id)).one().created_at


def test_an_expired_lease_is_put_back_until_the_starts_are_used_up(database, job_id, reap):
    with database.write() as connection:
        unit_id = add(connection, job_id)
    for start in range(1, 6):
        with database.write() as connection:
            assert take(connection, unit_id).attempt == start
        expire(database, unit_id)
        found = reap()
        assert (found.requeued, found.failed) == (
            ((unit_id,), ()) if start < 5 else ((), (unit_id,))
        )
    row = unit(database, unit_id)
    assert (row["state"], row["attempt"], row["error"]) == ("failed", 5, LOST)
    assert (job(database, job_id)["state"], job(database, job_id)["error"]) == ("failed", LOST)
    assert LOST["code"] == "worker_lost"
    assert reap().failed == ()


def test_progress_is_counted_by_the_reaper(database, job_id, reap):
    with database.write() as connection:
        unit_id = add(connection, job_id)
    for _ in range(8):
        with database.write() as connection:
            assert progress(connection, take(connection, unit_id), lease=60.0)
        expire(database, unit_id)
        assert reap().requeued == (unit_id,)


def test_a_unit_beyond_its_deadline_is_taken_from_whoever_beats_for_it(database, job_id, reap):
    claim = held(database, job_id)
    expire(database, claim.unit_id, deadline_at=1.0)
    assert reap().requeued == (claim.unit_id,)
    with database.write() as connection:
        assert not finish(connection, claim, {})
        take(connection, claim.unit_id)
    expire(database, claim.unit_id, deadline_at=1.0, stalls=5)
    assert reap().failed == (claim.unit_id,)
    assert job(database, job_id)["error"] == LATE
    assert LATE["code"] == "deadline_exceeded"


def test_whose_worker_died_is_lost_not_late(database, job_id, reap):
    claim = held(database, job_id)
    expire(database, claim.unit_id, deadline_at=1.0, lease_until=1.0, stalls=5)
    reap()
    assert job(database, job_id)["error"] == LOST


def test_a_message_that_nobody_took_is_sent_again(database, job_id, reap):
    with database.write() as connection:
        old, young = add(connection, job_id), add(connection, job_id)
        now = unit_time(connection, old)
        change(connection, units, old, state="sent", sent_at=now - 125.0)
        change(connection, units, young, state="sent", sent_at=now - 110.0)
    assert reap().requeued == (old,)
    assert states(database) == {old: "queued", young: "sent"}
    assert unit(database, old)["stalls"] == 0


def test_what_nobody_wants_is_dropped(database, job_id, reap):
    with database.write() as connection:
        other = add_job(connection)
        queued, sent, shared = (
            add(connection, *of) for of in ([job_id], [job_id], [job_id, other])
        )
        change(connection, units, sent, state="sent")
    dead, live = held(database, job_id), held(database, job_id)
    with database.write() as connection:
        change(connection, jobs, job_id, state="cancelling")
        change(connection, units, dead.unit_id, lease_until=1.0)
    assert set(reap().dropped) == {queued, sent, dead.unit_id}
    assert states(database)[shared] == "queued"
    assert states(database)[live.unit_id] == "leased"  # its worker sees it
    assert job(database, job_id)["state"] == "cancelling"
    expire(database, live.unit_id)
    assert reap().dropped == (live.unit_id,)
    assert job(database, job_id)["state"] == "cancelled"


def test_a_unit_without_any_job_is_dropped(database, job_id, reap):
    with database.write() as connection:
        unit_id = add(connection, job_id)
        connection.execute(jobs.delete())
    assert reap().dropped == (unit_id,)


def test_a_unit_that_was_started_too_often_does_not_wait_for_ever(database, job_id, make_ledger):
    """As where fewer attempts are allowed since, or its lease ended while a pass looked."""
    with database.write() as connection:
        queued, sent, fresh = (add(connection, job_id) for _ in range(3))
        change(connection, units, queued, stalls=3)
        change(connection, units, sent, stalls=4, state="sent", sent_at=unit_time(connection, sent))
        change(connection, units, fresh, stalls=2)
    fewer = make_ledger(attempts=3)
    found = recover(fewer.database, fewer.settings)
    assert set(found.failed) == {queued, sent}
    assert found.requeued == ()
    assert unit(database, fresh)["state"] == "queued"
