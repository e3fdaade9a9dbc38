"""Numbered events of a job, written in the transaction of what they tell."""

from typing import Any

from sqlalchemy import Connection, insert, select, update

from ledger.clock import now
from ledger.tables import events, jobs


def record(
    connection: Connection,
    job_id: str,
    kind: str,
    message: str,
    *,
    level: str = "info",
    data: dict[str, Any] | None = None,
) -> None:
    """Write the next event of a job."""
    number = connection.scalar(
        update(jobs)
        .where(jobs.c.id == job_id)
        .values(last_event=jobs.c.last_event + 1)
        .returning(jobs.c.last_event)
    )
    if number is not None:
        connection.execute(
            insert(events).values(
                job_id=job_id,
                seq=number,
                time=now(),
                level=level,
                type=kind,
                message=message,
                data=data,
            )
        )


def list_events(
    connection: Connection, job_id: str, *, after: int = 0, limit: int = 100
) -> list[dict[str, Any]]:
    """Events with numbers above `after`, the first ones first."""
    rows = connection.execute(
        select(events)
        .where(events.c.job_id == job_id, events.c.seq > after)
        .order_by(events.c.seq)
        .limit(limit)
    )
    return [dict(row._mapping) for row in rows]
