"""The housekeeper, beside the dispatcher: counters folded, drafts swept, old jobs deleted."""

from ledger.access import Ledger
from ledger.retention import keep_tidy
from worker.loops import Loop

SECONDS = 60.0


def housekeeper(ledger: Ledger) -> Loop:
    """The housekeeper's loop."""

    def step() -> bool:
        keep_tidy(ledger)
        return False

    return Loop("housekeeper", SECONDS, step)
