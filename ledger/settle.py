"""What follows for jobs once a unit has ended, decided in the transaction that ended it."""

from typing import Any

from sqlalchemy import Connection, func, select, update
from sqlalchemy.sql import Select

from ledger.clock import now
from ledger.counters import Tally
from ledger.events import record
from ledger.states import ENDED, LIVE, OPEN
from ledger.tables import jobs, links, units
from ledger.units import end_all, wanted

Error = dict[str, Any]

GONE: Error = {
    "code": "spectra_missing",
    "detail": "the analysis that it waited for was deleted; submit the plan again",
    "retryable": True,
}


def linked_jobs(connection: Connection, unit_id: str, states: tuple[str, ...]) -> list[str]:
    """The jobs in these states that a unit belongs to, locked, in one order for everybody."""
    return list(
        connection.scalars(
            select(jobs.c.id)
            .join(links, links.c.job_id == jobs.c.id)
            .where(links.c.unit_id == unit_id, jobs.c.state.in_(states))
            .order_by(jobs.c.id)
            .with_for_update(of=jobs)
        )
    )


def started(connection: Connection, unit_id: str) -> list[str]:
    """A unit was claimed: jobs that waited are running, and so are plans that wait for these.

    Returns the live jobs of the unit.
    """
    live = linked_jobs(connection, unit_id, LIVE)
    moved = connection.scalars(
        update(jobs)
        .where(jobs.c.id.in_(live) | jobs.c.analysis_id.in_(live), jobs.c.state == "queued")
        .values(state="running", started_at=func.coalesce(jobs.c.started_at, now()))
        .returning(jobs.c.id)
    ).all()
    for job_id in moved:
        record(connection, job_id, "started", "a worker took the first unit")
    return live


def settle_unit(connection: Connection, unit_id: str) -> list[str]:
    """Move every job on that waited for a unit; those that are ready to be assembled."""
    ready = []
    for job_id in linked_jobs(connection, unit_id, (*LIVE, "cancelling")):
        if settle_job(connection, job_id):
            ready.append(job_id)
    return ready


def settle_job(connection: Connection, job_id: str) -> bool:
    """Move a locked job on if none of its units is open; whether it is ready to be assembled."""
    job = connection.execute(
        select(jobs.c.state, jobs.c.analysis_id).where(jobs.c.id == job_id)
    ).one_or_none()
    if job is None:
        return False
    if job.state == "cancelling":
        held = _units(job_id).where(units.c.state == "leased", ~wanted())
        child = select(jobs.c.id).where(jobs.c.parent_id == job_id, jobs.c.state.not_in(ENDED))
        if _count(connection, held) == 0 and _count(connection, child) == 0:
            finish_job(connection, job_id, "cancelled", "the last running unit has stopped")
        return False
    if _count(connection, _units(job_id).where(units.c.state.in_(OPEN))):
        return False
    error = connection.scalar(
        select(units.c.error)
        .join(links, links.c.unit_id == units.c.id)
        .where(links.c.job_id == job_id, units.c.state == "failed")
        .order_by(units.c.finished_at)
        .limit(1)
    )
    if error is not None:
        fail_job(connection, job_id, error)
        return False
    if job.analysis_id is not None and not _follow(connection, job_id, job.analysis_id):
        return False
    ready = connection.execute(
        update(jobs)
        .where(jobs.c.id == job_id, jobs.c.state.in_(LIVE), jobs.c.phase != "assembling")
        .values(phase="assembling", state="running")
    )
    if ready.rowcount:
        record(connection, job_id, "measured", "every unit is done")
    return ready.rowcount == 1


def _follow(connection: Connection, job_id: str, analysis_id: str) -> bool:
    """Whether a plan's analysis is there; where it never will be, the plan ends as it did."""
    analysis = connection.execute(
        select(jobs.c.state, jobs.c.error).where(jobs.c.id == analysis_id)
    ).one_or_none()
    if analysis is None:
        fail_job(connection, job_id, GONE)
    elif analysis.state == "failed":
        fail_job(connection, job_id, analysis.error)
    elif analysis.state == "cancelled":
        finish_job(connection, job_id, "cancelled", "its analysis was cancelled")
    return analysis is not None and analysis.state == "succeeded"


def fail_job(connection: Connection, job_id: str, error: Error) -> None:
    """End a job with an error, and with it what depends on it; its units stop if nobody else's."""
    finish_job(connection, job_id, "failed", str(error["detail"]), error=error)


def finish_job(
    connection: Connection,
    job_id: str,
    state: str,
    message: str,
    *,
    error: Error | None = None,
) -> bool:
    """End a job that has not ended; False where it has. What depends on it ends alike."""
    found = connection.execute(
        update(jobs)
        .where(jobs.c.id == job_id, jobs.c.state.not_in(ENDED))
        .values(state=state, phase=None, finished_at=now(), error=error)
        .returning(jobs.c.kind, jobs.c.created_at, jobs.c.started_at, jobs.c.finished_at)
    ).one_or_none()
    if found is None:
        return False
    _count_ended(connection, found, state)
    level = "error" if state == "failed" else "info"
    record(connection, job_id, state, message, level=level, data=error)
    if state == "succeeded":
        return True
    release_units(connection, job_id)
    dependents = connection.scalars(
        select(jobs.c.id).where(
            (jobs.c.analysis_id == job_id) | (jobs.c.parent_id == job_id),
            jobs.c.state.not_in(ENDED),
        )
    ).all()
    for dependent in dependents:
        finish_job(connection, dependent, state, message, error=error)
    return True


def _count_ended(connection: Connection, job: Any, state: str) -> None:
    tally = Tally()
    tally.add("jobs_ended", kind=job.kind, state=state)
    tally.observe("job_seconds", job.finished_at - job.created_at, kind=job.kind)
    if job.started_at is not None:
        tally.observe("job_wait_seconds", job.started_at - job.created_at, kind=job.kind)
    tally.write(connection)


def release_units(connection: Connection, job_id: str) -> None:
    """End the waiting units of a job that no live job wants; running ones see it themselves."""
    mine = units.c.id.in_(select(links.c.unit_id).where(links.c.job_id == job_id))
    end_all(connection, mine & units.c.state.in_(("queued", "sent")) & ~wanted(), "cancelled")


def _units(job_id: str) -> Select[Any]:
    return (
        select(units.c.id)
        .join(links, links.c.unit_id == units.c.id)
        .where(links.c.job_id == job_id)
    )


def _count(connection: Connection, found: Select[Any]) -> int:
    return connection.scalar(select(func.count()).select_from(found.subquery())) or 0
