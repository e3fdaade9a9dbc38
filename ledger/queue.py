"""Which units to send next: fair over owners, never far ahead of free slots."""

from sqlalchemy import Connection, func, select, update

from ledger.clock import now
from ledger.presence import live_slots
from ledger.states import LIVE
from ledger.tables import jobs, links, units
from ledger.units import due

QUEUES = {"analyze": ("outline", "matrices", "hash"), "train": ("segment",)}
"""The kinds of units that each queue has."""

AHEAD = {"analyze": 2, "train": 1}
"""Units sent or running for each slot: a training takes so long that none is sent ahead."""


def take_next(connection: Connection, queue: str, *, presence: float) -> list[tuple[str, float]]:
    """Move units from queued to sent: their ids, each with the seconds that it may take.

    None where another dispatcher is at it, which would not see how far ahead this one goes. A unit
    that is changed at this moment has its turn later, so that nobody waits for a dispatcher.
    """
    if not _alone(connection):
        return []
    kinds = QUEUES[queue]
    busy = connection.scalar(
        select(func.count())
        .select_from(units)
        .where(units.c.state.in_(("sent", "leased")), units.c.kind.in_(kinds))
    )
    room = AHEAD[queue] * live_slots(connection, queue, presence=presence) - (busy or 0)
    if room <= 0:
        return []
    taken, queued = [], units.alias()
    for unit_id in _next(connection, kinds, room):
        free = select(queued.c.id).where(queued.c.id == unit_id, queued.c.state == "queued")
        seconds = connection.scalar(
            update(units)
            .where(units.c.id.in_(free.with_for_update(skip_locked=True)))
            .where(units.c.state == "queued")
            .values(state="sent", sent_at=now())
            .returning(units.c.seconds)
        )
        if seconds is not None:
            taken.append((unit_id, seconds))
    return taken


def _alone(connection: Connection) -> bool:
    """Whether no other dispatcher chooses until this transaction ends."""
    if connection.dialect.name != "postgresql":
        return True
    return bool(connection.scalar(select(func.pg_try_advisory_xact_lock(8245362))))


def _next(connection: Connection, kinds: tuple[str, ...], room: int) -> list[str]:
    """The first unit of every owner, then the second of each, and so on; running ones count."""
    running = (
        select(jobs.c.owner, func.count(units.c.id.distinct()).label("running"))
        .select_from(units.join(links).join(jobs))
        .where(
            units.c.state.in_(("sent", "leased")),
            units.c.kind.in_(kinds),
            jobs.c.state.in_(LIVE),
        )
        .group_by(jobs.c.owner)
        .subquery()
    )
    turn = func.row_number().over(
        partition_by=jobs.c.owner,
        order_by=(units.c.rank, jobs.c.created_at, units.c.cost.desc(), units.c.id),
    )
    waiting = (
        select(
            units.c.id,
            units.c.rank,
            (turn + func.coalesce(running.c.running, 0)).label("turn"),
        )
        .select_from(
            units.join(links).join(jobs).outerjoin(running, running.c.owner == jobs.c.owner)
        )
        .where(
            units.c.state == "queued",
            units.c.kind.in_(kinds),
            jobs.c.state.in_(LIVE),
            due(),
        )
        .subquery()
    )
    first = (
        select(waiting.c.id)
        .group_by(waiting.c.id)
        .order_by(func.min(waiting.c.turn), func.min(waiting.c.rank), waiting.c.id)
        .limit(room)
    )
    return list(connection.scalars(first))


def is_waiting(connection: Connection) -> bool:
    """Whether any unit is queued: a cheap look before a transaction that writes."""
    return (
        connection.scalar(select(units.c.id).where(units.c.state == "queued").limit(1)) is not None
    )


def others_wait(connection: Connection, queue: str) -> bool:
    """Whether a unit of the queue waits that somebody still wants."""
    waiting = (
        select(units.c.id)
        .select_from(units.join(links).join(jobs))
        .where(
            units.c.kind.in_(QUEUES[queue]),
            units.c.state.in_(("queued", "sent")),
            jobs.c.state.in_(LIVE),
            due(),
        )
    )
    return connection.scalar(waiting.limit(1)) is not None


def unsend(connection: Connection, unit_ids: list[str]) -> None:
    """Take back what could not be sent."""
    connection.execute(
        update(units)
        .where(units.c.id.in_(unit_ids), units.c.state == "sent")
        .values(state="queued")
    )


def unsend_all(connection: Connection) -> None:
    """Take back every message, where none of them is left."""
    connection.execute(update(units).where(units.c.state == "sent").values(state="queued"))
