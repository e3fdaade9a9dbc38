"""A unit under its lease: it goes on as long as it is wanted, and stops soon when it is not."""

import threading
import time

import pytest

from ledger import units
from tests.service.api.conftest import *  # noqa: F403 - the API's fixtures
from tests.worker.pump import all_units, open_units, pump, row
from worker import running
from worker.bodies import BODIES
from worker.errors import Stopped
from worker.lease import Lease
from worker.outcome import Outcome


@pytest.fixture
def api(make_api):
    """Every matrix a unit of its own, heartbeats ten times a second."""
    return make_api(unit_cost=1.0, least_unit_cost=1.0, heartbeat=0.1, lease=1.0)


def claimed(api):
    """A plan, and the claim of its first unit of matrices."""
    job = api.plan().json()
    pump(api.ledger, most=1)
    with api.ledger.database.write() as connection:
        held = units.claim(connection, open_units(api.ledger)[0], "wrk", lease=1.0, attempts=5)
    return job, held


def state(api, unit_id: str) -> str:
    return next(unit["state"] for unit in all_units(api.ledger) if unit["id"] == unit_id)


def test_heartbeats_outlast_the_lease(api):
    _, held = claimed(api)
    with Lease(api.ledger, held) as lease:
        time.sleep(2.0)
        lease.check()
        with api.ledger.database.write() as connection:
            taken = units.claim(connection, held.unit_id, "other", lease=1.0, attempts=5)
        assert taken is None


@pytest.mark.parametrize("ending", ["returns", "raises"])
def test_a_body_that_ends_because_it_was_stopped(api, monkeypatch, ending):
    """However it ends, the unit is cancelled, never done or failed."""
    job = api.plan().json()
    pump(api.ledger, most=1)
    unit_id = open_units(api.ledger)[0]
    stopped, begun = threading.Event(), threading.Event()

    def body(ledger, held, lease, device):
        lease.on_stop(stopped.set)
        begun.set()
        assert stopped.wait(10), "nobody told it to stop"
        if ending == "raises":
            raise RuntimeError("the reader was closed")
        return Outcome({})

    monkeypatch.setitem(BODIES, "matrices", body)
    thread = threading.Thread(target=running.run_unit, args=(api.ledger, unit_id, "wrk_1", "cpu"))
    thread.start()
    assert begun.wait(10)
    api.http.post(f"{job['links']['self']}/cancel")
    assert row(api.ledger, job["id"])["state"] == "cancelling"
    thread.join(10)
    assert state(api, unit_id) == "cancelled"
    assert row(api.ledger, job["analysis_id"])["state"] == "cancelled"
    assert row(api.ledger, job["id"])["state"] == "cancelled"


def test_native_code_that_hears_nothing_loses_its_process(api, monkeypatch):
    monkeypatch.setattr("worker.lease.GRACE_SECONDS", 0.3)
    job, held = claimed(api)
    killed = threading.Event()

    def hold():
        with Lease(api.ledger, held, kill=killed.set):
            api.http.post(f"{job['links']['self']}/cancel")
            assert killed.wait(5)

    with pytest.raises(Stopped):
        hold()


def test_progress_of_a_lost_unit_stops_it(api):
    """Another worker has the unit: the next spectrum is the last one here."""
    _, held = claimed(api)
    with api.ledger.database.write() as connection:
        units.expire_all(connection, "wrk")
        other = units.claim(connection, held.unit_id, "other", lease=60.0, attempts=5)
    assert other is not None
    with pytest.raises(Stopped), Lease(api.ledger, held) as lease:
        lease.progress()
    assert state(api, held.unit_id) == "leased"


def test_an_error_that_nobody_expected(api, monkeypatch):
    """The job fails with a code that says nothing of the inside; the log has it."""
    job = api.plan().json()
    pump(api.ledger, most=1)

    def body(ledger, held, lease, device):
        raise KeyError("secret /path")

    monkeypatch.setitem(BODIES, "matrices", body)
    pump(api.ledger)
    error = api.http.get(job["links"]["self"]).json()["error"]
    assert error["code"] == "internal_error"
    assert "secret" not in error["detail"]
    assert error["retryable"]
