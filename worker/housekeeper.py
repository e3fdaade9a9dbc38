"""The housekeeper, beside the dispatcher: counters folded, drafts and runs swept, old jobs gone."""

from ledger.access import Ledger
from ledger.retention import keep_tidy
from worker.loops import Loop
from worker.segments import sweep_runs

SECONDS = 60.0


def housekeeper(ledger: Ledger) -> Loop:
    """The housekeeper's loop."""

    def step() -> bool:
        keep_tidy(ledger)
        sweep_runs(ledger)
        return False

    return Loop("housekeeper", SECONDS, step)
