"""Which units are sent next: fair over owners, never far ahead of free slots."""

import pytest
from sqlalchemy import event

from ledger.presence import leave, live_slots, live_workers
from ledger.queue import is_waiting, take_next, unsend, unsend_all
from ledger.tables import jobs, units, workers
from ledger.units import postpone
from tests.ledger.make import (
    add,
    add_job,
    at_once,
    change,
    held,
    states,
    take,
    unit,
    waits,
    workers_with,
)  # fmt: skip


@pytest.fixture
def slots(database):
    """Let a worker be there with so many slots."""

    def say(number, name="wrk_1", **given):
        with database.write() as connection:
            workers_with(connection, number, name, **given)

    return say


def send(database):
    with database.write() as connection:
        return [unit_id for unit_id, _ in take_next(connection, "analyze", presence=5.0)]


def test_every_owner_has_its_turn(database, slots):
    slots(1)
    with database.write() as connection:
        many = [add(connection, add_job(connection)) for _ in range(50)]
        one = add(connection, add_job(connection, owner="ben"))
    sent = send(database)
    assert len(sent) == 2
    assert one in sent
    assert len({*sent} & {*many}) == 1


def test_owners_take_turns_to_the_end(database, slots):
    slots(4)
    with database.write() as connection:
        for owner, number in (("ann", 9), ("ben", 2), ("eve", 1)):
            job_id = add_job(connection, owner=owner)
            for _ in range(number):
                add(connection, job_id, payload={"owner": owner})
    owners = [unit(database, unit_id)["payload"]["owner"] for unit_id in send(database)]
    assert sorted(owners[:3]) == ["ann", "ben", "eve"]
    assert sorted(owners[3:5]) == ["ann", "ben"]
    assert owners[5:] == ["ann", "ann", "ann"]


def test_what_an_owner_runs_counts_for_its_turn(database, slots):
    with database.write() as connection:
        job_id, other = add_job(connection), add_job(connection, owner="ben")
    for _ in range(2):
        held(database, job_id)
    with database.write() as connection:
        for _ in range(5):
            add(connection, job_id)
        theirs = [add(connection, other) for _ in range(5)]
    slots(2)
    assert set(send(database)) <= set(theirs)


@pytest.mark.parametrize("busy", [0, 1, 3, 4, 7])
def test_never_more_than_two_for_each_slot(database, slots, busy):
    slots(1)
    slots(1, "wrk_2")
    with database.write() as connection:
        job_id = add_job(connection)
    for number in range(busy):
        claim = held(database, job_id)
        if number % 2:
            with database.write() as connection:
                change(connection, units, claim.unit_id, state="sent")
    with database.write() as connection:
        for _ in range(10):
            add(connection, job_id)
    assert len(send(database)) == max(0, 4 - busy)
    assert send(database) == []


def test_what_has_ended_takes_no_room(database, slots):
    slots(1)
    with database.write() as connection:
        job_id = add_job(connection)
        for state in ("done", "failed", "cancelled"):
            change(connection, units, add(connection, job_id), state=state)
        waiting = [add(connection, job_id) for _ in range(3)]
    assert len(set(send(database)) & set(waiting)) == 2


def test_two_dispatchers_do_not_go_further_ahead_than_one(database, slots):
    slots(1)
    with database.write() as connection:
        job_id = add_job(connection)
        for _ in range(30):
            add(connection, job_id)
    sent = at_once(*[lambda: send(database)] * 8)
    assert sum(map(len, sent)) == 2
    assert sorted(states(database).values()) == ["queued"] * 28 + ["sent"] * 2


def test_a_dispatcher_that_looks_while_another_sends_does_not_send_more(
    database, make_ledger, slots, meanwhile
):
    """The first one has counted what is busy when the second one sends, and commits."""
    slots(1)
    with database.write() as connection:
        job_id = add_job(connection)
        for _ in range(9):
            add(connection, job_id)
    other, sent = make_ledger().database, []

    def after_the_count(connection, cursor, statement, *_):
        if "count(*)" in statement and not sent:
            sent.append(meanwhile(send, other))
            waits(sent[0])

    event.listen(database.engine, "after_cursor_execute", after_the_count)
    first = send(database)
    assert len(first) + len(sent[0].result(40)) == 2


def test_ranks_then_age_then_cost_decide(database, slots):
    slots(5)
    with database.write() as connection:
        old, young = add_job(connection), add_job(connection)
        change(connection, jobs, old, created_at=1.0)
        small = add(connection, old, cost=1.0)
        young_one = add(connection, young, cost=9.0)
        large = add(connection, old, cost=5.0)
        hashing = add(connection, old, rank=2, cost=99.0)
        outline = add(connection, young, rank=0, cost=0.0)
    assert send(database) == [outline, large, small, young_one, hashing]


def test_a_sent_unit_says_when_and_how_long_it_may_take(database, slots):
    slots(1)
    with database.write() as connection:
        unit_id = add(connection, add_job(connection), seconds=77.0)
    with database.write() as connection:
        assert take_next(connection, "analyze", presence=5.0) == [(unit_id, 77.0)]
    row = unit(database, unit_id)
    assert row["state"] == "sent"
    assert row["sent_at"] >= row["created_at"]


def test_what_was_put_off_waits(database, slots):
    slots(2)
    with database.write() as connection:
        job_id = add_job(connection)
    claim = held(database, job_id)
    with database.write() as connection:
        postpone(connection, claim, 50.0)
    assert send(database) == []
    with database.write() as connection:
        change(connection, units, claim.unit_id, not_before=1.0)
    assert send(database) == [claim.unit_id]


@pytest.mark.parametrize("state", ["cancelling", "failed"])
def test_what_nobody_wants_is_not_sent(database, slots, state):
    slots(2)
    with database.write() as connection:
        dead, live = add_job(connection), add_job(connection, owner="ben")
        add(connection, dead)
        shared = add(connection, dead, live)
        change(connection, jobs, dead, state=state)
    assert send(database) == [shared]


def test_a_unit_of_several_jobs_is_sent_once(database, slots):
    slots(4)
    with database.write() as connection:
        shared = add(connection, *(add_job(connection, owner=owner) for owner in ("a", "b", "b")))
    assert send(database) == [shared]


def test_silent_workers_and_other_queues_have_no_slots(database, slots):
    slots(3)
    slots(2, "wrk_2")
    slots(9, "wrk_3", queue="train")
    with database.write() as connection:
        assert live_slots(connection, "analyze", presence=5.0) == 5
        assert [worker.id for worker in live_workers(connection, presence=5.0)] == [
            "wrk_1", "wrk_2", "wrk_3",
        ]  # fmt: skip
        seen = connection.execute(workers.select().where(workers.c.id == "wrk_2")).one().seen_at
        change(connection, workers, "wrk_2", seen_at=seen - 11.0)
        assert live_slots(connection, "analyze", presence=5.0) == 5
        change(connection, workers, "wrk_2", seen_at=seen - 12.5)
        assert live_slots(connection, "analyze", presence=5.0) == 3
        assert len(live_workers(connection, presence=5.0)) == 2
        leave(connection, "wrk_1")
        assert live_slots(connection, "analyze", presence=5.0) == 0
        add(connection, add_job(connection))
    assert send(database) == []
    slots(2, "wrk_2")  # it was only slow
    assert len(send(database)) == 1


def test_what_could_not_be_sent_is_queued_again(database, slots):
    slots(2)
    with database.write() as connection:
        job_id = add_job(connection)
        for _ in range(4):
            add(connection, job_id)
    first, second, third, fourth = send(database)
    with database.write() as connection:
        take(connection, second)
        unsend(connection, [first, second])
    assert states(database) == {first: "queued", second: "leased", third: "sent", fourth: "sent"}
    with database.write() as connection:
        unsend_all(connection)
    assert states(database) == {
        first: "queued", second: "leased", third: "queued", fourth: "queued",
    }  # fmt: skip


def test_whether_anything_waits(database):
    with database.write() as connection:
        assert is_waiting(connection) is False
        unit_id = add(connection, add_job(connection))
        assert is_waiting(connection) is True
        take(connection, unit_id)
        assert is_waiting(connection) is False


@pytest.mark.parametrize("backend", ["postgres"])
def test_a_dispatcher_does_not_wait_for_a_unit_that_is_being_changed(database, slots, meanwhile):
    slots(2)
    with database.write() as connection:
        job_id = add_job(connection)
        first, second = add(connection, job_id, cost=9.0), add(connection, job_id)
    with database.write() as connection:
        change(connection, units, first, state="cancelled")
        assert meanwhile(send, database).result(2) == [second]
