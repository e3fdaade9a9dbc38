"""The reaper, in every process: what a death left behind is put right."""

import structlog

from ledger.access import Ledger
from ledger.recovery import recover
from worker.assembling import assemble_all
from worker.loops import Loop

log = structlog.get_logger()


def reap(ledger: Ledger) -> bool:
    """One pass; False, so that the loop waits. Raises DatabaseUnavailable."""
    found = recover(ledger.database, ledger.settings)
    for what in ("requeued", "failed", "dropped"):
        for unit_id in getattr(found, what):
            log.warning(f"unit_{what}", unit=unit_id)
    assemble_all(ledger, found.to_assemble)
    return False


def reaper(ledger: Ledger) -> Loop:
    """The reaper's loop."""
    return Loop("reaper", ledger.settings.reaper, lambda: reap(ledger))
