"""Run one unit: claim it, do it under a lease, and end it; whatever happens is a row."""

import structlog

from analyzer.errors import HubUnavailable
from ledger import units
from ledger.access import Ledger
from ledger.counters import Tally
from ledger.errors import DatabaseUnavailable
from ledger.patience import patient
from ledger.settle import fail_job, linked_jobs, settle_unit, started
from ledger.states import LIVE
from ledger.units import Claim
from worker.assembling import assemble_all
from worker.bodies import BODIES, OPEN
from worker.codes import error_of
from worker.errors import FolderBusy, RunLost, Stopped
from worker.lease import Lease
from worker.outcome import Outcome
from worker.tallies import tally_of

log = structlog.get_logger()

PATIENCE = 45.0
"""Seconds that a worker waits for a database that is away."""


BUSY_PAUSE = 15.0
"""Seconds after which a training's folder may be free."""

HUB_PAUSE = 15.0
"""Seconds that a unit waits for the Hub at first, times two for each start without progress."""


def run_unit(ledger: Ledger, unit_id: str, worker: str, device: str) -> None:
    """Do a unit if it is free. Raises DatabaseUnavailable where the ledger stays away."""
    held = patient(PATIENCE)(_claim, ledger, unit_id, worker)
    if held is None:
        log.info("unit_not_taken", unit=unit_id)
        return
    structlog.contextvars.bind_contextvars(unit=unit_id, attempt=held.attempt)
    log.info("unit_claimed", kind=held.kind)
    try:
        with Lease(ledger, held) as lease:
            outcome = BODIES[held.kind](ledger, held, lease, device)
        done = tally_of(outcome.report, device)
        ready = patient(PATIENCE)(_finish, ledger, held, outcome, done)
        log.info("unit_ended", kind=held.kind)
    except Stopped:
        patient(PATIENCE)(_drop, ledger, held)
    except DatabaseUnavailable:
        raise  # the lease runs out, and the reaper puts the unit back
    except RunLost as error:
        log.warning("run_put_back", reason=str(error))
        patient(PATIENCE)(_put_back, ledger, held)
    except FolderBusy as error:
        log.info("run_put_back", reason=str(error))
        patient(PATIENCE)(_put_back, ledger, held, seconds=BUSY_PAUSE, counted=False)
    except HubUnavailable as error:
        log.warning("hub_unavailable", reason=str(error))
        patient(PATIENCE)(_postpone, ledger, held, error)
    except Exception as error:
        log.exception("unit_failed", kind=held.kind)
        OPEN.drop(held.payload.get("outline_key"))
        patient(PATIENCE)(_fail, ledger, held, error)
    else:
        assemble_all(ledger, ready)
    finally:
        structlog.contextvars.unbind_contextvars("unit", "attempt", "jobs")


def _claim(ledger: Ledger, unit_id: str, worker: str) -> Claim | None:
    settings = ledger.settings
    with ledger.database.write() as connection:
        held = units.claim(
            connection, unit_id, worker, lease=settings.lease, attempts=settings.attempts
        )
        if held is not None:
            live = started(connection, unit_id)
            structlog.contextvars.bind_contextvars(jobs=live)
    return held


def _finish(ledger: Ledger, held: Claim, outcome: Outcome, done: Tally) -> list[str]:
    with ledger.database.write() as connection:
        if not units.finish(connection, held, outcome.report):
            log.warning("late_finish_discarded")
            return []
        if outcome.then is not None:
            outcome.then(connection)
        done.write(connection)
        return settle_unit(connection, held.unit_id)


def _fail(ledger: Ledger, held: Claim, error: Exception) -> None:
    """End a unit that cannot be done; its jobs fail at once, since no other unit can help."""
    found = error_of(error)
    with ledger.database.write() as connection:
        waiting = linked_jobs(connection, held.unit_id, LIVE)
        if not units.fail(connection, held, found):
            log.warning("late_failure_discarded")
            return
        for job_id in waiting:
            fail_job(connection, job_id, found)
        settle_unit(connection, held.unit_id)


def _postpone(ledger: Ledger, held: Claim, error: HubUnavailable) -> None:
    """The Hub is away: the unit waits, longer each time, until its starts are used up."""
    if held.stalls >= ledger.settings.attempts:
        _fail(ledger, held, error)
        return
    with ledger.database.write() as connection:
        units.postpone(connection, held, HUB_PAUSE * 2.0**held.stalls)


def _put_back(ledger: Ledger, held: Claim, *, seconds: float = 0.0, counted: bool = True) -> None:
    """Another start; where this one counts, and so many came to no checkpoint, it is given up."""
    with ledger.database.write() as connection:
        units.postpone(connection, held, seconds, counted=counted)


def _drop(ledger: Ledger, held: Claim) -> None:
    with ledger.database.write() as connection:
        if units.drop(connection, held):
            settle_unit(connection, held.unit_id)
