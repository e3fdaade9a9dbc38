"""The dispatcher: the only one that publishes, so that no broker can slow a submission."""

import structlog
from celery import Celery

from ledger.access import Ledger
from ledger.queue import QUEUES, is_waiting, take_next, unsend
from worker.app import TASK
from worker.loops import Loop

HARD_LIMIT_MARGIN = 30.0
"""Seconds after a unit's deadline at which its process is killed."""

log = structlog.get_logger()


def dispatch(ledger: Ledger, app: Celery) -> bool:
    """Send what there is room for; whether there was something.

    Raises DatabaseUnavailable, or kombu's OperationalError where the broker is away: what was not
    sent is queued again.
    """
    with ledger.database.read() as connection:
        if not is_waiting(connection):
            return False
    presence = ledger.settings.presence
    with ledger.database.write() as connection:
        taken = [
            (queue, unit_id, seconds)
            for queue in QUEUES
            for unit_id, seconds in take_next(connection, queue, presence=presence)
        ]
    for number, (queue, unit_id, seconds) in enumerate(taken):
        try:
            app.send_task(
                TASK,
                args=[unit_id],
                queue=queue,
                time_limit=seconds + HARD_LIMIT_MARGIN,
                retry=False,
            )
        except Exception:
            with ledger.database.write() as connection:
                unsend(connection, [unit_id for _, unit_id, _ in taken[number:]])
            raise
        log.debug("unit_sent", unit=unit_id)
    return bool(taken)


def dispatcher(ledger: Ledger, app: Celery) -> Loop:
    """The dispatcher's loop."""
    return Loop("dispatcher", ledger.settings.dispatch, lambda: dispatch(ledger, app))
