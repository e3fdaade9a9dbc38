"""From a model's name to what it is at this moment: a commit, or files of an allowed folder."""

from pathlib import Path

from analyzer.errors import ModelNotFound
from analyzer.hub.pin import Pin, pin
from analyzer.source import is_hub_id
from analyzer.text import shown
from ledger.access import Ledger
from ledger.roots import allowed
from service.moments import Moments
from worker.sources import Place

CACHE_SECONDS = 60.0
MOST_CACHED = 1000


class Resolver:
    """Pins models; what the Hub says of a branch is good for a minute."""

    def __init__(self, ledger: Ledger) -> None:
        """Ask nobody yet."""
        self._ledger = ledger
        self._known: Moments[tuple[str, str], Pin] = Moments(CACHE_SECONDS, MOST_CACHED)

    def place(self, model: str, revision: str | None) -> Place:
        """Where a model lies now. Raises AnalyzerError or PathNotAllowed."""
        settings = self._ledger.settings
        if Path(model).is_absolute() or model.startswith(("./", "../", "~")):
            if revision is not None:
                raise ModelNotFound(f"{shown(model)} is a local path and has no revisions")
            return Place(model, path=str(allowed(model, settings.roots)))
        named = model if revision is None else f"{model}@{revision}"
        if not is_hub_id(named):
            raise ModelNotFound(
                f"{shown(named)} is neither a Hub id (org/name, with or without @revision) nor an "
                "absolute path"
            )
        name, _, asked = named.partition("@")
        found = self._pin(name, asked or "main")
        return Place(named, name, found.commit, restricted=found.restricted)

    def _pin(self, name: str, revision: str) -> Pin:
        found = self._known.get((name, revision))
        if found is None:
            found = pin(name, revision, self._ledger.settings.hub_deadline)
            self._known.put((name, revision), found)
        return found
