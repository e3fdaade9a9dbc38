"""A request that is sent twice with one key is done once."""

from dataclasses import dataclass

from sqlalchemy import Connection, select

from ledger.clock import now
from ledger.errors import KeyReused
from ledger.insert import insert_new
from ledger.tables import idempotency


@dataclass(frozen=True, slots=True)
class Replay:
    """What the first request with a key came to."""

    job_id: str
    status: int


def recall(connection: Connection, owner: str, key: str, body_hash: str) -> Replay | None:
    """The answer of the first request with this key. Raises KeyReused for another body."""
    row = connection.execute(
        select(idempotency).where(idempotency.c.owner == owner, idempotency.c.key == key)
    ).one_or_none()
    if row is None:
        return None
    if row.body_hash != body_hash:
        raise KeyReused(
            "this Idempotency-Key came with another request before; use a new key for a new request"
        )
    return Replay(row.job_id, row.status)


def remember(connection: Connection, owner: str, key: str, body_hash: str, replay: Replay) -> bool:
    """Keep the answer, in the transaction that made it; False where another was first."""
    row = {
        "owner": owner,
        "key": key,
        "body_hash": body_hash,
        "job_id": replay.job_id,
        "status": replay.status,
        "created_at": now(),
    }
    return insert_new(connection, idempotency, row) == 1
