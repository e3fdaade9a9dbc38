"""What the reaper does, in any process and in several at once: put right what a death left behind.

Each step restates its condition in its UPDATE, so that a unit that was finished meanwhile stays so.
"""

from dataclasses import dataclass

from sqlalchemy import ColumnElement, Connection, and_, delete, exists, or_, select, update

from ledger.clock import now
from ledger.database import Database
from ledger.settings import Settings
from ledger.settle import settle_job, settle_unit
from ledger.states import ENDED, LIVE, OPEN
from ledger.tables import idempotency, jobs, links, units, workers
from ledger.units import end_all, lock_jobs, wanted

FORGET_WORKERS = 3600.0
FORGET_KEYS = 86_400.0

LOST = {
    "code": "worker_lost",
    "detail": "its worker was lost too often without progress; see the worker's log, then retry",
    "retryable": True,
}
LATE = {
    "code": "deadline_exceeded",
    "detail": "it took far longer than its size explains, in every attempt; retry on more or "
    "faster devices",
    "retryable": True,
}


@dataclass(frozen=True, slots=True)
class Recovered:
    """What one pass did: units put back, units given up, and jobs that wait to be assembled."""

    requeued: tuple[str, ...]
    failed: tuple[str, ...]
    dropped: tuple[str, ...]
    to_assemble: tuple[str, ...]


def recover(database: Database, settings: Settings) -> Recovered:
    """One pass. Raises DatabaseUnavailable."""
    with database.write() as connection:
        lock_jobs(connection, or_(_over(), _unwanted()))
        dropped = _drop_unwanted(connection)
        failed = _give_up(connection, settings.attempts)
        requeued = _requeue(connection, settings.resend)
        for unit_id in (*dropped, *failed):
            settle_unit(connection, unit_id)
        _settle_left(connection)
        _forget(connection)
        waiting = connection.scalars(
            select(jobs.c.id).where(
                jobs.c.state.in_(LIVE),
                jobs.c.phase == "assembling",
                or_(jobs.c.assemble_until.is_(None), jobs.c.assemble_until < now()),
            )
        ).all()
    return Recovered(tuple(requeued), tuple(failed), tuple(dropped), tuple(waiting))


def _over() -> ColumnElement[bool]:
    """A lease or a deadline that has passed."""
    return and_(
        units.c.state == "leased",
        or_(units.c.lease_until < now(), units.c.deadline_at < now()),
    )


def _unwanted() -> ColumnElement[bool]:
    """Open, in nobody's hands, and no live job waits for it."""
    return and_(units.c.state.in_(OPEN), ~wanted(), or_(_over(), units.c.state != "leased"))


def _drop_unwanted(connection: Connection) -> list[str]:
    return end_all(connection, _unwanted(), "cancelled")


def _give_up(connection: Connection, attempts: int) -> list[str]:
    """Fail what was started too often, also what waits: a pass that met the lease's end put it
    back, or more starts were allowed then.
    """
    spent = units.c.stalls >= attempts
    late = and_(_over(), spent, units.c.deadline_at < now(), units.c.lease_until >= now())
    given_up = end_all(connection, late, "failed", LATE)
    free = or_(_over(), units.c.state.in_(("queued", "sent")))
    return [*given_up, *end_all(connection, and_(free, spent), "failed", LOST)]


def _requeue(connection: Connection, resend: float) -> list[str]:
    unanswered = and_(units.c.state == "sent", units.c.sent_at < now() - resend)
    found = connection.scalars(
        update(units).where(or_(_over(), unanswered)).values(state="queued").returning(units.c.id)
    )
    return list(found)


def _settle_left(connection: Connection) -> None:
    """Jobs that wait for nothing: cancelled ones whose units ended, and what a race left.

    A plan or a link that was written while what it waits for ended is not seen by that.
    """
    open_unit = exists(
        select(1)
        .select_from(links.join(units, units.c.id == links.c.unit_id))
        .where(links.c.job_id == jobs.c.id, units.c.state.in_(OPEN))
    )
    analysis = jobs.alias()
    open_analysis = exists(
        select(1).where(analysis.c.id == jobs.c.analysis_id, analysis.c.state.not_in(ENDED))
    )
    idle = or_(
        and_(jobs.c.phase.in_(("outline", "measuring", "training")), ~open_unit),
        and_(jobs.c.phase == "waiting", ~open_analysis),
    )
    left = connection.scalars(
        select(jobs.c.id)
        .where(or_(jobs.c.state == "cancelling", and_(jobs.c.state.in_(LIVE), idle)))
        .order_by(jobs.c.id)
        .with_for_update(skip_locked=True)
    ).all()
    for job_id in left:
        settle_job(connection, job_id)


def _forget(connection: Connection) -> None:
    connection.execute(delete(workers).where(workers.c.seen_at < now() - FORGET_WORKERS))
    connection.execute(delete(idempotency).where(idempotency.c.created_at < now() - FORGET_KEYS))
