"""Reapers at the same moment as workers, dispatchers, submissions and each other."""

from ledger.adding import link
from ledger.jobs import cancel
from ledger.queue import take_next
from ledger.reach import Reach
from ledger.recovery import recover
from ledger.settle import settle_unit, started
from ledger.tables import jobs, units
from ledger.units import claim, expire_all, finish, heartbeat
from tests.ledger.make import (
    add,
    add_job,
    at_once,
    change,
    held,
    job,
    states,
    take,
    told,
    unit,
    waits,
    workers_with,
)  # fmt: skip


def reap(ledger):
    return recover(ledger.database, ledger.settings)


def test_a_unit_that_is_finished_meanwhile_stays_done(ledger, database, meanwhile):
    with database.write() as connection:
        job_id = add_job(connection)
    late = held(database, job_id, lease=-1.0)
    with database.write() as connection:
        assert finish(connection, late, {"solved": 1})
        found = meanwhile(reap, ledger)
        assert waits(found)
        assert settle_unit(connection, late.unit_id) == [job_id]
    assert found.result(10).requeued == found.result().failed == ()
    assert unit(database, late.unit_id)["state"] == "done"
    assert told(database, job_id) == ["queued", "measured"]


def test_a_unit_whose_lease_is_extended_meanwhile_stays_held(ledger, database, meanwhile):
    with database.write() as connection:
        job_id = add_job(connection)
    slow = held(database, job_id, lease=-1.0)
    with database.write() as connection:
        assert heartbeat(connection, slow, lease=60.0)
        found = meanwhile(reap, ledger)
        assert waits(found)
    assert found.result(10).requeued == ()
    assert unit(database, slow.unit_id)["state"] == "leased"


def test_two_reapers_do_what_one_does(make_ledger, database):
    ledgers = [make_ledger() for _ in range(4)]
    with database.write() as connection:
        job_id, cancelled, ready = (add_job(connection) for _ in range(3))
        change(connection, jobs, cancelled, state="cancelling")
        change(connection, units, add(connection, ready), state="done")
        unwanted = [add(connection, cancelled) for _ in range(5)]
    expired = [held(database, job_id, lease=-1.0).unit_id for _ in range(5)]
    spent = held(database, job_id, lease=-1.0).unit_id
    with database.write() as connection:
        change(connection, units, spent, stalls=5)
    found = at_once(*[lambda ledger=ledger: reap(ledger) for ledger in ledgers])
    assert sorted(unit_id for each in found for unit_id in each.requeued) == sorted(expired)
    assert [unit_id for each in found for unit_id in each.failed] == [spent]
    assert sorted(unit_id for each in found for unit_id in each.dropped) == sorted(unwanted)
    assert told(database, cancelled) == ["queued", "cancelled"]
    assert told(database, ready) == ["queued", "measured"]
    with database.write() as connection:
        for unit_id in expired:
            assert take(connection, unit_id).attempt == 2


def test_a_job_that_is_settled_twice_moves_once(make_ledger, database):
    with database.write() as connection:
        made = [add_job(connection) for _ in range(5)]
        for job_id in made:
            change(connection, units, add(connection, job_id), state="done")
    ledgers = [make_ledger() for _ in range(4)]
    at_once(*[lambda ledger=ledger: reap(ledger) for ledger in ledgers])
    for job_id in made:
        assert told(database, job_id) == ["queued", "measured"]


def test_a_submission_that_a_finish_did_not_see_is_settled_by_the_next_pass(ledger, database):
    """On PostgreSQL a link may be written while its unit ends."""
    with database.write() as connection:
        first, second = add_job(connection), add_job(connection)
    shared = held(database, first)
    with database.write() as connection:
        finish(connection, shared, {})
        assert settle_unit(connection, shared.unit_id) == [first]
        link(connection, second, [shared.unit_id])
    assert set(reap(ledger).to_assemble) == {first, second}
    assert job(database, second)["phase"] == "assembling"


def test_a_reaper_that_puts_back_does_not_wait_crosswise_with_a_cancel(ledger, database, meanwhile):
    """Both want the job and its units; jobs are taken first by everybody."""
    with database.write() as connection:
        job_id = add_job(connection)
        waiting = add(connection, job_id)
    expired = held(database, job_id, lease=-1.0)
    spent = held(database, job_id, lease=-1.0)
    with database.write() as connection:
        change(connection, units, spent.unit_id, stalls=5)
    with database.write() as connection:
        connection.execute(jobs.select().where(jobs.c.id == job_id).with_for_update())
        found = meanwhile(reap, ledger)
        assert waits(found)
        cancel(connection, Reach("ann"), "analysis", job_id)
        # Nothing of the job is locked by the one who waits for it.
        change(connection, units, expired.unit_id, worker="wrk_9")
    found.result(10)
    assert states(database)[waiting] == "cancelled"
    assert job(database, job_id)["state"] in ("cancelled", "cancelling")


def claim_and_finish(ledger, name, unit_id, finishes):
    lease = ledger.settings.lease
    with ledger.database.write() as connection:
        taken = claim(connection, unit_id, name, lease=lease, attempts=1000)
        if taken is not None:
            started(connection, unit_id)
    if taken is not None and finishes:
        with ledger.database.write() as connection:
            if finish(connection, taken, {}):
                settle_unit(connection, unit_id)


def finish_left(database, unit_ids):
    with database.write() as connection:
        expire_all(connection)
    for unit_id in unit_ids:
        with database.write() as connection:
            taken = take(connection, unit_id, attempts=1000)
            if taken is not None:
                assert finish(connection, taken, {})
                settle_unit(connection, unit_id)


def test_many_at_once_lose_nothing_and_wait_for_nobody(make_ledger, database):
    """Claims, finishes, reapers, dispatchers and cancels over shared units, from six processes."""
    ledgers = [make_ledger(lease=0.05, heartbeat=0.01, attempts=1000) for _ in range(6)]
    with database.write() as connection:
        workers_with(connection, 8)
        made = [add_job(connection, owner=f"o{n % 3}") for n in range(6)]
        unit_ids = [add(connection, made[n % 6], made[(n + 1) % 6]) for n in range(24)]

    def work(ledger, number):
        for turn, unit_id in enumerate(unit_ids[number * 4 :] + unit_ids):
            claim_and_finish(ledger, f"wrk_{number}", unit_id, finishes=turn % 4)
            if turn % 9 == number:
                reap(ledger)
                with ledger.database.write() as connection:
                    take_next(connection, "analyze", presence=5.0)
            if turn == 10 + number and number < 2:
                with ledger.database.write() as connection:
                    cancel(connection, Reach(f"o{number}"), "analysis", made[number])

    at_once(*[lambda n=n, each=each: work(each, n) for n, each in enumerate(ledgers)])
    finish_left(database, unit_ids)
    reap(ledgers[0])
    assert set(states(database).values()) <= {"done", "cancelled"}
    for job_id in made:
        row = job(database, job_id)
        assert row["state"] == "cancelled" or row["phase"] == "assembling"
        assert told(database, job_id).count("measured") <= 1
