"""The ledger as a process holds it: settings, database, artifacts and the store."""

from ledger.artifacts import Artifacts
from ledger.database import Database
from ledger.settings import Settings
from ledger.spectra import LedgerStore


class Ledger:
    """One for each process; its parts may be used from several threads."""

    def __init__(self, settings: Settings, *, patience: float = 0.0) -> None:
        """Connect to nothing yet; the store waits so many seconds for a database that is away."""
        self._patience = patience
        self.settings = settings
        self.database = Database.of(settings)
        self.artifacts = Artifacts(settings.data / "artifacts", settings.inline_bytes)

    def store(self) -> LedgerStore:
        """The store of spectra; each piece of work has its own, with what it preloads."""
        return LedgerStore(self.database, self.artifacts, self._patience)
