"""Where jobs are looked up: over HTTP where TAILORA_URL is set, else in the ledger."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Protocol

from service.cli.failures import CommandError

_KINDS = {"pln": "plan", "ana": "analysis", "trn": "training", "cmp": "comparison"}


class JobSource(Protocol):
    """Plans and analyses of one owner, as the API's envelopes and events."""

    def newest(
        self, kind: str, status: str | None, limit: int
    ) -> tuple[list[dict[str, Any]], bool]:
        """Envelopes, newest first, and whether there are more."""

    def show(self, kind: str, job_id: str) -> dict[str, Any]:
        """A job's envelope."""

    def events(self, kind: str, job_id: str, after: int) -> list[dict[str, Any]]:
        """The first events with higher numbers."""

    def cancel(self, kind: str, job_id: str) -> dict[str, Any]:
        """Ask a job to stop; its envelope."""

    def adapter(self, job_id: str) -> list[dict[str, Any]]:
        """Name, bytes and sha256 of each file of a trained adapter."""

    def fetch(self, job_id: str, entry: dict[str, Any], file: Path) -> None:
        """Write one of them, as its sha256 says."""


@contextmanager
def job_source() -> Iterator[JobSource]:
    """The jobs of the service, or of this machine. Raises ClientError or LedgerError."""
    from service.cli.remote import service, wants_service

    if wants_service():
        from service.client.jobs import RemoteJobs

        with service() as server:
            yield RemoteJobs(server)
    else:
        from service.cli.ownledger import LocalJobs, own_ledger

        yield LocalJobs(own_ledger())


def kind_of(job_id: str) -> str:
    """The kind that an id's first letters say. Raises CommandError."""
    from analyzer.text import shown

    kind = _KINDS.get(job_id.partition("_")[0])
    if kind is None:
        raise CommandError(
            f"{shown(job_id, 60)} is no job's id; those of plans begin with pln_, of analyses with "
            "ana_, of trainings with trn_, of comparisons with cmp_; see `tailora jobs list`"
        )
    return kind
