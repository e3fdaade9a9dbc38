"""Which workers are there: each says so every few seconds."""

from dataclasses import dataclass

from sqlalchemy import Connection, delete, func, insert, select, update

from ledger.clock import now
from ledger.tables import workers

SILENCES = 2.4
"""Reports that a worker may miss: at 5 s it is gone after 12 s."""


@dataclass(frozen=True, slots=True)
class Worker:
    """A worker process and what it offers."""

    id: str
    host: str
    queue: str
    devices: str
    slots: int
    version: str


def arrive(connection: Connection, worker: Worker) -> None:
    """A worker is there."""
    connection.execute(
        insert(workers).values(
            id=worker.id,
            host=worker.host,
            queue=worker.queue,
            devices=worker.devices,
            slots=worker.slots,
            version=worker.version,
            started_at=now(),
            seen_at=now(),
        )
    )


def still_here(connection: Connection, worker: Worker) -> None:
    """A worker is still there; one that was forgotten arrives again."""
    found = connection.execute(
        update(workers).where(workers.c.id == worker.id).values(seen_at=now())
    )
    if found.rowcount == 0:
        arrive(connection, worker)


def leave(connection: Connection, worker_id: str) -> None:
    """A worker goes."""
    connection.execute(delete(workers).where(workers.c.id == worker_id))


def live_slots(connection: Connection, queue: str, *, presence: float) -> int:
    """Slots of the workers of a queue that reported lately."""
    return (
        connection.scalar(
            select(func.sum(workers.c.slots)).where(
                workers.c.queue == queue, workers.c.seen_at > now() - SILENCES * presence
            )
        )
        or 0
    )


def live_workers(connection: Connection, *, presence: float) -> list[Worker]:
    """The workers that reported lately."""
    rows = connection.execute(
        select(workers)
        .where(workers.c.seen_at > now() - SILENCES * presence)
        .order_by(workers.c.started_at)
    )
    return [
        Worker(row.id, row.host, row.queue, row.devices, row.slots, row.version) for row in rows
    ]
