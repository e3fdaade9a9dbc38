"""The ledger of this process's settings, for commands that look into it directly."""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pathlib import Path

    from ledger.access import Ledger
    from ledger.settings import Settings


def own_ledger(settings: "Settings | None" = None) -> "Ledger":
    """A ledger at this program's version.

    Raises SettingsError, WrongVersion or DatabaseUnavailable.
    """
    from ledger.access import Ledger
    from ledger.migrate import check
    from ledger.settings import load_settings

    ledger = Ledger(settings or load_settings())
    check(ledger.database)
    return ledger


class LocalJobs:
    """The jobs that need no key, straight from the ledger. Raises LedgerError."""

    def __init__(self, ledger: "Ledger") -> None:
        """Look into this ledger."""
        from ledger.reach import Reach
        from service.context import LOCAL

        self._ledger = ledger
        self._mine = Reach(LOCAL, restricted=True)

    def newest(
        self, kind: str, status: str | None, limit: int
    ) -> tuple[list[dict[str, Any]], bool]:
        """Envelopes, newest first, and whether there are more."""
        from ledger.jobs import Filter, list_jobs
        from service.jobs.views import envelopes

        with self._ledger.database.read() as connection:
            found = list_jobs(connection, self._mine, Filter(kind, status, limit=limit))
            return envelopes(connection, found[:limit]), len(found) > limit

    def show(self, kind: str, job_id: str) -> dict[str, Any]:
        """A job's envelope, with the plan of one that has it."""
        import json

        from service.jobs.views import document_text, view

        with self._ledger.database.read() as connection:
            found = view(connection, self._mine, kind, job_id)
            text = document_text(self._ledger, connection, found) if kind == "plan" else None
        plan = {"plan": None if text is None else json.loads(text)} if kind == "plan" else {}
        return {**found.envelope, **plan}

    def events(self, kind: str, job_id: str, after: int) -> list[dict[str, Any]]:
        """The first events with higher numbers."""
        from ledger.events import list_events
        from ledger.jobs import get
        from service.jobs.views import stamp

        with self._ledger.database.read() as connection:
            get(connection, self._mine, kind, job_id)
            found = list_events(connection, job_id, after=after)
        return [
            {**{name: value for name, value in event.items() if name != "job_id"},
             "time": stamp(event["time"])}
            for event in found
        ]  # fmt: skip

    def cancel(self, kind: str, job_id: str) -> dict[str, Any]:
        """Ask a job to stop; its envelope. Raises Conflict where it has ended."""
        from ledger import jobs
        from ledger.errors import Conflict
        from service.jobs.views import view

        with self._ledger.database.write() as connection:
            stopped = jobs.cancel(connection, self._mine, kind, job_id)
            found = view(connection, self._mine, kind, job_id)
        if not stopped and found.ended:
            raise Conflict(f"{job_id} has {found.job['state']} already; there is nothing to cancel")
        return found.envelope

    def adapter(self, job_id: str) -> list[dict[str, Any]]:
        """Name, bytes and sha256 of each file of a trained adapter. Raises Conflict before."""
        from service.trainings.files import adapter_files

        return list(adapter_files(self._ledger, self._mine, job_id).values())

    def fetch(self, job_id: str, entry: dict[str, Any], file: "Path") -> None:
        """Write one of them. Raises DamagedArtifact or StoreError."""
        self._ledger.artifacts.file_of(self._ledger.database, entry["sha256"], file)
