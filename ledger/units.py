"""Units of work: every change is one UPDATE that restates its condition, fenced by the attempt."""

from dataclasses import dataclass
from typing import Any

from sqlalchemy import ColumnElement, Connection, and_, delete, exists, or_, select, update

from ledger.clock import now
from ledger.states import ENDED, LIVE, OPEN
from ledger.tables import jobs, links, targets, units


@dataclass(frozen=True, slots=True)
class Claim:
    """A unit that is this worker's as long as its lease runs."""

    unit_id: str
    attempt: int
    kind: str
    payload: dict[str, Any]
    stalls: int
    """Starts without progress, this one included, when it was claimed."""


def wanted() -> ColumnElement[bool]:
    """Whether a live job waits for the unit."""
    return exists(
        select(1)
        .select_from(links.join(jobs, jobs.c.id == links.c.job_id))
        .where(links.c.unit_id == units.c.id, jobs.c.state.in_(LIVE))
    )


def lock_jobs(connection: Connection, condition: ColumnElement[bool]) -> None:
    """Lock the jobs that units belong to which fit, before these units are changed.

    Whoever changes both takes jobs first, in the order of their ids, so that no two wait for each
    other. On SQLite a writer is alone anyway.
    """
    if connection.dialect.name == "postgresql":
        theirs = select(links.c.job_id).join(units, units.c.id == links.c.unit_id).where(condition)
        connection.execute(
            select(jobs.c.id)
            .where(jobs.c.id.in_(theirs), jobs.c.state.not_in(ENDED))
            .order_by(jobs.c.id)
            .with_for_update()
        )


def claim(
    connection: Connection, unit_id: str, worker: str, *, lease: float, attempts: int
) -> Claim | None:
    """Take a unit; None where it is another's, done, unwanted, put off or started too often."""
    free = or_(
        and_(units.c.state.in_(("queued", "sent")), due()),
        and_(units.c.state == "leased", units.c.lease_until < now()),
    )
    lock_jobs(connection, units.c.id == unit_id)
    row = connection.execute(
        update(units)
        .where(units.c.id == unit_id, free, units.c.stalls < attempts, wanted())
        .values(
            state="leased",
            attempt=units.c.attempt + 1,
            stalls=units.c.stalls + 1,
            done=0,
            worker=worker,
            lease_until=now() + lease,
            deadline_at=now() + units.c.seconds,
        )
        .returning(units.c.attempt, units.c.kind, units.c.payload, units.c.stalls)
    ).one_or_none()
    if row is None:
        return None
    return Claim(unit_id, row.attempt, row.kind, row.payload, row.stalls)


def due() -> ColumnElement[bool]:
    """Whether the unit was not put off, or for long enough."""
    return or_(units.c.not_before.is_(None), units.c.not_before <= now())


def _mine(held: Claim) -> ColumnElement[bool]:
    return and_(
        units.c.id == held.unit_id, units.c.attempt == held.attempt, units.c.state == "leased"
    )


def heartbeat(connection: Connection, held: Claim, *, lease: float) -> bool:
    """Extend the lease; False where the unit is no longer this worker's, or nobody wants it."""
    found = connection.execute(
        update(units)
        .where(_mine(held), wanted(), units.c.deadline_at > now())
        .values(lease_until=now() + lease)
    )
    return found.rowcount == 1


def progress(connection: Connection, held: Claim, *, lease: float) -> bool:
    """One more spectrum is kept, so earlier starts do not count any more; False like heartbeat."""
    found = connection.execute(
        update(units)
        .where(_mine(held), wanted(), units.c.deadline_at > now())
        .values(done=units.c.done + 1, stalls=1, lease_until=now() + lease)
    )
    return found.rowcount == 1


def finish(connection: Connection, held: Claim, report: dict[str, Any]) -> bool:
    """The unit is done; False where it is no longer this worker's."""
    return _end(connection, held, "done", report=report)


def fail(connection: Connection, held: Claim, error: dict[str, Any]) -> bool:
    """The unit cannot be done; False where it is no longer this worker's."""
    return _end(connection, held, "failed", error=error)


def drop(connection: Connection, held: Claim) -> bool:
    """Nobody wants the unit any more; False where it is wanted, or no longer this worker's."""
    return _end(connection, held, "cancelled", ~wanted())


def postpone(connection: Connection, held: Claim, seconds: float, *, counted: bool = True) -> bool:
    """Put a unit back for later; whether the start counts. False where it is not this worker's."""
    stalls = units.c.stalls if counted else units.c.stalls - 1
    found = connection.execute(
        update(units)
        .where(_mine(held))
        .values(state="queued", not_before=now() + seconds, stalls=stalls)
    )
    return found.rowcount == 1


def give_back_all(connection: Connection, worker: str) -> int:
    """Put back whatever a worker that stops still holds; how many."""
    found = connection.execute(
        update(units)
        .where(units.c.worker == worker, units.c.state == "leased")
        .values(state="queued", stalls=units.c.stalls - 1)
    )
    return found.rowcount


def expire_all(connection: Connection, worker: str | None = None) -> int:
    """End the leases of a worker that is known to be dead, or of all; how many. Starts count."""
    whose = units.c.worker == worker if worker is not None else units.c.id.is_not(None)
    found = connection.execute(
        update(units).where(whose, units.c.state == "leased").values(lease_until=0.0)
    )
    return found.rowcount


def _end(
    connection: Connection,
    held: Claim,
    state: str,
    *conditions: ColumnElement[bool],
    **values: dict[str, Any],
) -> bool:
    lock_jobs(connection, units.c.id == held.unit_id)
    ended = connection.scalars(
        update(units)
        .where(_mine(held), *conditions)
        .values(state=state, key=None, finished_at=now(), **values)
        .returning(units.c.id)
    ).all()
    for unit_id in ended:
        connection.execute(delete(targets).where(targets.c.unit_id == unit_id))
    return bool(ended)


def end_all(
    connection: Connection,
    condition: ColumnElement[bool],
    state: str,
    error: dict[str, Any] | None = None,
) -> list[str]:
    """End every open unit that fits, such as those that nobody wants; their ids."""
    ended = list(
        connection.scalars(
            update(units)
            .where(units.c.state.in_(OPEN), condition)
            .values(state=state, key=None, finished_at=now(), error=error)
            .returning(units.c.id)
        )
    )
    for unit_id in ended:
        connection.execute(delete(targets).where(targets.c.unit_id == unit_id))
    return ended
