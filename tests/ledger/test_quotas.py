"""How much an owner may ask for."""

import time
from functools import partial

from ledger.errors import QuotaExceeded
from ledger.quotas import take
from ledger.settings import Settings, load_settings
from ledger.tables import jobs
from tests.ledger.make import add, add_job, add_plan, at_once, change

NO_LIMITS = {"submit_rate": 0, "open_jobs": 0, "open_units": 0}


def settings(**given) -> Settings:
    return load_settings(**{**NO_LIMITS, **given})


def asks(database, settings, owner="ann") -> float | None:
    """Seconds that an owner is told to wait; None where the submission counts."""
    try:
        with database.write() as connection:
            take(connection, settings, owner)
    except QuotaExceeded as error:
        return error.seconds
    return None


def test_a_burst_passes_and_then_the_rate(database):
    limits = settings(submit_rate=0.5, submit_burst=4)
    assert [asks(database, limits) for _ in range(4)] == [None] * 4
    wait = asks(database, limits)
    assert 0 < wait <= 2.0
    assert asks(database, limits, "ben") is None  # who has an allowance of his own
    time.sleep(wait + 0.05)
    assert asks(database, limits) is None
    assert asks(database, limits) > 0


def test_at_once_no_more_than_the_burst(database):
    limits = settings(submit_rate=0.01, submit_burst=5)
    found = at_once(*[partial(asks, database, limits)] * 12)
    assert found.count(None) == 5


def test_jobs_that_have_not_ended_are_counted(database):
    limits = settings(open_jobs=3)
    with database.write() as connection:
        add_plan(connection)  # one piece of work
        ended = add_job(connection)
        add_job(connection, owner="ben")
        second = add_job(connection)
    assert asks(database, limits) == 10.0
    with database.write() as connection:
        change(connection, jobs, ended, state="failed")
    assert asks(database, limits) is None
    with database.write() as connection:
        change(connection, jobs, second, state="cancelling")
        add_job(connection)
    assert asks(database, limits) == 10.0


def test_units_that_are_open_are_counted_once(database):
    limits = settings(open_units=2)
    with database.write() as connection:
        first, second = add_job(connection), add_job(connection)
        add(connection, first, second)
        add(connection, add_job(connection, owner="ben"))
    assert asks(database, limits) is None
    with database.write() as connection:
        add(connection, second)
    assert asks(database, limits) == 10.0
    assert asks(database, limits, "ben") is None


def test_what_is_refused_does_not_count(database):
    limits = settings(submit_rate=0.01, submit_burst=1, open_jobs=1)
    with database.write() as connection:
        job = add_job(connection)
    assert asks(database, limits) == 10.0
    with database.write() as connection:
        change(connection, jobs, job, state="succeeded")
    assert asks(database, limits) is None
