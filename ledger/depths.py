"""How much waits, as the ledger knows at this moment."""

from dataclasses import dataclass

from sqlalchemy import Connection, func, select

from ledger.clock import now
from ledger.presence import live_workers
from ledger.states import ENDED, OPEN
from ledger.tables import jobs, units


@dataclass(frozen=True, slots=True)
class Depths:
    """Counts by kind and state, and the age of the oldest that waits, in seconds by kind."""

    jobs: dict[tuple[str, str], int]
    units: dict[tuple[str, str], int]
    oldest_job: dict[str, float]
    oldest_unit: dict[str, float]
    workers: int
    slots: int


def depths(connection: Connection, *, presence: float) -> Depths:
    """Look at what has not ended."""
    there = live_workers(connection, presence=presence)
    count = func.count()
    live_jobs = jobs.c.state.not_in(ENDED)
    open_units = units.c.state.in_(OPEN)
    by_job = select(jobs.c.kind, jobs.c.state, count).where(live_jobs)
    by_unit = select(units.c.kind, units.c.state, count).where(open_units)
    job_age = select(jobs.c.kind, now() - func.min(jobs.c.created_at)).where(
        jobs.c.state == "queued"
    )
    unit_age = select(units.c.kind, now() - func.min(units.c.created_at)).where(
        units.c.state.in_(("queued", "sent"))
    )
    jobs_found = connection.execute(by_job.group_by(jobs.c.kind, jobs.c.state))
    units_found = connection.execute(by_unit.group_by(units.c.kind, units.c.state))
    return Depths(
        jobs={(kind, state): number for kind, state, number in jobs_found},
        units={(kind, state): number for kind, state, number in units_found},
        oldest_job={kind: age for kind, age in connection.execute(job_age.group_by(jobs.c.kind))},
        oldest_unit={
            kind: age for kind, age in connection.execute(unit_age.group_by(units.c.kind))
        },
        workers=len(there),
        slots=sum(worker.slots for worker in there),
    )
