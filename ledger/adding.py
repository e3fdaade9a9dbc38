"""Put units on a job; what another job's unit does already is shared, never done twice."""

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

from sqlalchemy import Connection, select

from ledger.artifacts import in_parts
from ledger.clock import now
from ledger.ids import new_id
from ledger.insert import insert_new
from ledger.states import OPEN
from ledger.tables import links, spectra, targets, units


@dataclass(frozen=True, slots=True)
class NewUnit:
    """Work for one worker; `digests` are the spectra that it solves, `key` what makes it alike."""

    kind: str
    payload: dict[str, Any]
    rank: int
    cost: float
    seconds: float
    size: int = 0
    key: str | None = None
    digests: tuple[str, ...] = field(default=(), repr=False)


def planning_lock(connection: Connection) -> None:
    """One process at a time decides what is new; on SQLite a writer is alone anyway."""
    if connection.dialect.name == "postgresql":
        connection.exec_driver_sql("SELECT pg_advisory_xact_lock(8245361)")


def in_work(connection: Connection, digests: Iterable[str]) -> dict[str, str]:
    """Which of these spectra an open unit solves: unit by digest."""
    found: dict[str, str] = {}
    for part in in_parts(digests):
        rows = connection.execute(
            select(targets.c.digest, targets.c.unit_id)
            .join(units, units.c.id == targets.c.unit_id)
            .where(targets.c.digest.in_(part), units.c.state.in_(OPEN))
        )
        found.update({digest: unit_id for digest, unit_id in rows})
    return found


def kept(connection: Connection, digests: Iterable[str]) -> set[str]:
    """Which of these spectra are kept, checked or not."""
    found: set[str] = set()
    for part in in_parts(digests):
        found.update(connection.scalars(select(spectra.c.digest).where(spectra.c.digest.in_(part))))
    return found


def add_unit(connection: Connection, job_id: str, unit: NewUnit) -> str:
    """Link a job to a new unit, or to the open one that has its key."""
    unit_id = new_id("unt")
    row = {
        "id": unit_id,
        "key": unit.key,
        "kind": unit.kind,
        "state": "queued",
        "payload": unit.payload,
        "rank": unit.rank,
        "cost": unit.cost,
        "seconds": unit.seconds,
        "size": unit.size,
        "created_at": now(),
    }
    if insert_new(connection, units, row) == 0:
        same = connection.scalar(select(units.c.id).where(units.c.key == unit.key))
        if same is None:  # it has ended since
            return add_unit(connection, job_id, unit)
        unit_id = str(same)
    for digest in unit.digests:
        insert_new(connection, targets, {"digest": digest, "unit_id": unit_id})
    link(connection, job_id, [unit_id])
    return unit_id


def link(connection: Connection, job_id: str, unit_ids: Iterable[str]) -> None:
    """Let a job wait for units."""
    rows = ({"job_id": job_id, "unit_id": unit_id} for unit_id in sorted(set(unit_ids)))
    insert_new(connection, links, *rows)
