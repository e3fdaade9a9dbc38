"""Short transactions on either database, and one error when it is away."""

import time
from contextlib import contextmanager

import pytest
from sqlalchemy import text
from sqlalchemy.exc import IntegrityError, OperationalError

from ledger.adding import planning_lock
from ledger.database import Database
from ledger.errors import DatabaseUnavailable
from ledger.patience import patient
from ledger.tables import jobs, links
from tests.ledger.make import add_job, at_once, count, job, undone, waits


def test_what_is_committed_stays_and_what_is_not_goes(database):
    with database.write() as connection:
        add_job(connection)
    with undone(database) as connection:
        add_job(connection)
    assert count(database, jobs) == 1


def test_what_is_read_is_what_was_committed(database):
    with database.write() as connection:
        add_job(connection)
        assert at_once(lambda: count(database, jobs)) == [0]
    assert count(database, jobs) == 1


def test_writers_of_one_row_wait_for_each_other(database, meanwhile):
    with database.write() as connection:
        job_id = add_job(connection)

    def add_one():
        with database.write() as connection:
            change = jobs.update().where(jobs.c.id == job_id)
            connection.execute(change.values(stored=jobs.c.stored + 1))

    with database.write() as connection:
        connection.execute(jobs.update().where(jobs.c.id == job_id).values(stored=10))
        other = meanwhile(add_one)
        assert waits(other)
    other.result(10)
    at_once(*[add_one] * 8)
    assert job(database, job_id)["stored"] == 19


def test_broken_rules_are_not_taken_for_an_absence(database):
    with pytest.raises(IntegrityError), database.write() as connection:
        connection.execute(links.insert().values(job_id="ana_0", unit_id="unt_0"))


def test_a_read_within_a_write_is_the_same_transaction(database):
    with database.write() as connection:
        job_id = add_job(connection)
        with database.read() as inner:
            assert inner.execute(jobs.select()).one().id == job_id
        assert at_once(lambda: count(database, jobs)) == [0]
        add_job(connection)
    with database.read() as one, database.read() as other:
        assert one is not other
    assert count(database, jobs) == 2


def test_more_writers_than_connections_that_read_too_all_come_through(database):
    """A submission plans under a lock that the others wait for, and reads the store meanwhile."""

    def plan():
        with database.write() as connection:
            planning_lock(connection)
            with database.read() as reading:
                reading.execute(text("SELECT 1"))
            time.sleep(0.01)
        return True

    assert at_once(*[plan] * 20) == [True] * 20


@contextmanager
def broken(use):
    """A transaction that the database does not bear to its end."""
    with pytest.raises(DatabaseUnavailable, match="the database|the connection"):  # noqa: SIM117
        with use() as connection:
            yield connection


def test_a_postgres_that_is_away_is_unavailable_soon(postgres, postgres_url):
    database = Database(postgres_url)
    with database.read() as connection:
        connection.execute(text("SELECT 1"))
    try:
        with broken(database.write) as connection:
            postgres.stop()
            connection.execute(text("SELECT 1"))
        begin = time.monotonic()
        for use in (database.read, database.write):
            with pytest.raises(DatabaseUnavailable, match="try again"), use():
                pass
        assert time.monotonic() - begin < 10.0
        postgres.start()
        with database.read() as connection:
            assert connection.scalar(text("SELECT 1")) == 1
    finally:
        database.close()


def test_a_postgres_that_was_away_meanwhile_is_there(postgres, postgres_url):
    """Nobody is told of an absence that is over."""
    database = Database(postgres_url)
    for _ in range(2):
        for use in (database.read, database.write):
            with use() as connection:
                assert connection.scalar(text("SELECT 1")) == 1
            postgres.stop()
            postgres.start()
    database.close()


def test_a_postgres_that_does_not_answer_at_the_door_is_unavailable_soon(postgres, postgres_url):
    database = Database(postgres_url)
    try:
        postgres.pause()
        begin = time.monotonic()
        with pytest.raises(DatabaseUnavailable), database.read():
            pass
        assert time.monotonic() - begin < 15.0
    finally:
        postgres.resume()
        database.close()


def test_statements_and_locks_have_their_limits(postgres_url):
    database = Database(postgres_url)
    with database.read() as connection:
        assert connection.scalar(text("SHOW statement_timeout")) == "15s"
        assert connection.scalar(text("SHOW lock_timeout")) == "5s"
        connection.execute(text("SET LOCAL statement_timeout = 100"))
        with pytest.raises(OperationalError):
            connection.execute(text("SELECT pg_sleep(5)"))
    with broken(database.read) as connection:
        connection.execute(text("SET LOCAL statement_timeout = 100"))
        connection.execute(text("SELECT pg_sleep(5)"))
    database.close()


def test_no_more_connections_than_a_process_may_have(postgres_url):
    database = Database(postgres_url)
    held = [database.engine.connect() for _ in range(16)]
    begin = time.monotonic()
    with pytest.raises(DatabaseUnavailable), database.read():
        pass
    assert time.monotonic() - begin < 10.0
    for connection in held:
        connection.close()
    with database.read():
        pass
    database.close()


def test_patience_tries_again_and_ends():
    calls = []

    def away(until):
        calls.append(time.monotonic())
        if len(calls) < until:
            raise DatabaseUnavailable("away")
        return len(calls)

    assert patient(30.0)(away, 4) == 4
    calls.clear()
    with pytest.raises(DatabaseUnavailable):
        patient(0.0)(away, 4)
    assert len(calls) == 1
    calls.clear()
    with pytest.raises(DatabaseUnavailable):
        patient(1.0)(away, 10**9)
    assert 1.0 <= calls[-1] - calls[0] < 10.0
    with pytest.raises(ZeroDivisionError):
        patient(30.0)(lambda: 1 // 0)
