"""Whether somebody is there to do a job."""

from sqlalchemy import Connection

from ledger.presence import live_slots
from worker.app import ANALYZE, TRAIN

_QUEUES = {"training": TRAIN, "comparison": TRAIN}


def missing_worker(connection: Connection, kind: str, presence: float) -> str | None:
    """The queue of this kind of job, where no worker of it was seen lately; else None."""
    queue = _QUEUES.get(kind, ANALYZE)
    return None if live_slots(connection, queue, presence=presence) else queue
