"""Events of a job: numbered without gaps, in the transaction of what they tell."""

import pytest

from ledger.events import list_events, record
from ledger.jobs import cancel
from ledger.reach import Reach
from ledger.tables import events, jobs
from tests.ledger.make import add_job, at_once, change, count, job, told, undone, waits


@pytest.fixture
def job_id(database):
    with database.write() as connection:
        return add_job(connection)


def numbers(database, job_id):
    with database.read() as connection:
        return [event["seq"] for event in list_events(connection, job_id, limit=1000)]


def test_an_event_says_all_of_it(database, job_id):
    with database.write() as connection:
        data = {"stored": 3, "word": "ä\u0000"}
        record(connection, job_id, "planned", "3 spectra", level="warning", data=data)
    with database.read() as connection:
        first, second = list_events(connection, job_id)
    assert [first[name] for name in ("seq", "type", "level", "data")] == [1, "queued", "info", None]
    assert second.pop("time") >= first["time"]
    assert second == {
        "job_id": job_id, "seq": 2, "level": "warning", "type": "planned", "message": "3 spectra",
        "data": data,
    }  # fmt: skip


def test_events_at_once_are_numbered_without_gaps(database, job_id):
    with database.write() as connection:
        other = add_job(connection)

    def tell():
        for number in range(5):
            with database.write() as connection:
                record(connection, (job_id, other)[number % 2], "planned", "again")

    at_once(*[tell] * 6)
    assert numbers(database, job_id) == list(range(1, 20))
    assert numbers(database, other) == list(range(1, 14))
    assert job(database, job_id)["last_event"] == 19


def test_an_event_waits_for_the_one_before_it(database, job_id, meanwhile):
    def tell():
        with database.write() as connection:
            record(connection, job_id, "second", "…")

    with database.write() as connection:
        record(connection, job_id, "first", "…")
        second = meanwhile(tell)
        assert waits(second)
    second.result(10)
    assert told(database, job_id) == ["queued", "first", "second"]


def test_what_is_undone_leaves_no_event_and_no_gap(database, job_id):
    with undone(database) as connection:
        cancel(connection, Reach("ann"), "analysis", job_id)
    assert told(database, job_id) == ["queued"]
    assert job(database, job_id)["state"] == "queued"
    with database.write() as connection:
        change(connection, jobs, job_id, state="running")
        record(connection, job_id, "started", "…")
    assert numbers(database, job_id) == [1, 2]


def test_events_are_read_in_pages(database, job_id):
    with database.write() as connection:
        for _ in range(9):
            record(connection, job_id, "planned", "…")

    def page(**words):
        return [event["seq"] for event in list_events(connection, job_id, **words)]

    with database.read() as connection:
        assert page(limit=4) == [1, 2, 3, 4]
        assert page(after=4, limit=4) == [5, 6, 7, 8]
        assert page(after=8) == [9, 10]
        assert page(after=10) == []


def test_a_job_that_is_gone_has_no_events(database):
    with database.write() as connection:
        record(connection, "ana_0", "planned", "…")
    assert count(database, events) == 0
