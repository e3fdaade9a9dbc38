"""Plans and analyses of a service as jobs: list, look at, follow, cancel."""

from pathlib import Path
from typing import Any
from urllib.parse import quote

from service.client.envelope import Envelope, Event, Part
from service.client.errors import NotTailora
from service.client.server import Server

PATHS = {
    "plan": "/v1/plans", "analysis": "/v1/analyses", "training": "/v1/trainings",
    "comparison": "/v1/comparisons",
}  # fmt: skip


class Page(Part):
    """The newest jobs of a kind."""

    data: list[Envelope]
    has_more: bool


class Events(Part):
    """Events of a job."""

    data: list[Event]


class AdapterFile(Part):
    """A file of a trained adapter."""

    name: str
    bytes: int
    sha256: str


class Adapter(Part):
    """The files of a trained adapter."""

    data: list[AdapterFile]


class RemoteJobs:
    """The jobs of the key's owner, over HTTP. Raises ClientError."""

    def __init__(self, server: Server) -> None:
        """Ask this service."""
        self._server = server

    def newest(
        self, kind: str, status: str | None, limit: int
    ) -> tuple[list[dict[str, Any]], bool]:
        """Envelopes, newest first, and whether there are more."""
        page = self._server.get(PATHS[kind], status=status, limit=limit).document(Page)
        return page["data"], page["has_more"]

    def show(self, kind: str, job_id: str) -> dict[str, Any]:
        """A job's envelope."""
        return self._server.get(_path(kind, job_id)).document(Envelope)

    def events(self, kind: str, job_id: str, after: int) -> list[dict[str, Any]]:
        """The first events with higher numbers."""
        page = self._server.get(f"{_path(kind, job_id)}/events", after=after).document(Events)
        found: list[dict[str, Any]] = page["data"]
        return found

    def cancel(self, kind: str, job_id: str) -> dict[str, Any]:
        """Ask a job to stop; its envelope."""
        return self._server.post(f"{_path(kind, job_id)}/cancel").document(Envelope)

    def adapter(self, job_id: str) -> list[dict[str, Any]]:
        """Name, bytes and sha256 of each file of a trained adapter."""
        found = self._server.get(f"{_path('training', job_id)}/adapter").document(Adapter)
        files: list[dict[str, Any]] = found["data"]
        return files

    def fetch(self, job_id: str, entry: dict[str, Any], file: Path) -> None:
        """Write one of them. Raises NotTailora where it is not what it should be, and OSError."""
        name = quote(entry["name"], safe="")
        if (
            self._server.download(f"{_path('training', job_id)}/adapter/{name}", file)
            != (entry["sha256"])
        ):
            raise NotTailora(
                f"{entry['name']} came with other bytes than its sha256 says; fetch it again"
            )


def _path(kind: str, job_id: str) -> str:
    return f"{PATHS[kind]}/{quote(job_id, safe='')}"
