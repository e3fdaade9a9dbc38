"""Times are those of the database."""

import time

import pytest
from sqlalchemy import select

from ledger.clock import now
from tests.ledger.make import add_job, job


def test_seconds_since_1970(database):
    with database.read() as connection:
        found = connection.scalar(select(now()))
    assert isinstance(found, float)
    assert found == pytest.approx(time.time(), abs=5.0)


def test_the_clock_goes_on_within_a_transaction(database):
    with database.read() as connection:
        first = connection.scalar(select(now()))
        time.sleep(0.05)
        second = connection.scalar(select(now()))
        assert 0.03 < second - first < 5.0
        assert connection.scalar(select(now() - 60.0)) == pytest.approx(second - 60.0, abs=5.0)
        assert connection.scalar(select(now() > first)) in (True, 1)


def test_this_machines_clock_decides_nothing(database, monkeypatch):
    monkeypatch.setattr(time, "time", lambda: 5.0)
    monkeypatch.setattr(time, "time_ns", lambda: 5_000_000_000)
    with database.write() as connection:
        job_id = add_job(connection)
    assert job(database, job_id)["created_at"] > 1e9
