"""Plans that were looked at before and can be made: of what is pinned that does not change."""

from collections import OrderedDict
from threading import Lock

from ledger.access import Ledger
from worker.passes import plan_key
from worker.requests import PlanWords
from worker.steps import check_if_known

MOST = 10_000


class Feasible:
    """Of one process, the ones asked for last."""

    def __init__(self) -> None:
        """Know none yet."""
        self._lock = Lock()
        self._known: OrderedDict[str, None] = OrderedDict()

    def check(self, ledger: Ledger, outline_key: str, words: PlanWords) -> None:
        """Refuse what no alphas could make a plan of, where the model's outline is known.

        Raises AllocatorError or AnalyzerError.
        """
        key = plan_key(outline_key, words, "")
        with self._lock:
            if key in self._known:
                self._known.move_to_end(key)
                return
        if not check_if_known(ledger, outline_key, words):
            return
        with self._lock:
            self._known[key] = None
            if len(self._known) > MOST:
                self._known.popitem(last=False)
