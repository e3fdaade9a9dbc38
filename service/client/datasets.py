"""Datasets of a service: upload, list, look at, delete."""

import base64
import hashlib
from pathlib import Path
from typing import Any
from urllib.parse import quote

from service.client.envelope import Part
from service.client.server import Server

PATH = "/v1/datasets"


class Dataset(Part):
    """A dataset, as far as a client reads it."""

    id: str | None
    name: str
    format: str
    bytes: int


class Page(Part):
    """Some of the datasets."""

    data: list[Dataset]
    has_more: bool


class RemoteDatasets:
    """The datasets of the key's owner, and those that are registered. Raises ClientError."""

    def __init__(self, server: Server) -> None:
        """Ask this service."""
        self._server = server

    def upload(self, file: Path, name: str, form: str | None) -> dict[str, Any]:
        """Send a file with its checksum; what was made of it. Raises OSError too."""
        with file.open("rb") as content:
            digest = hashlib.file_digest(content, "sha256").digest()
        headers = {
            "Content-Type": "application/octet-stream",
            "Content-Digest": f"sha-256=:{base64.b64encode(digest).decode()}:",
        }
        answer = self._server.upload(PATH, file, headers, name=name, format=form)
        return answer.document(Dataset)

    def some(self, source: str, limit: int) -> tuple[list[dict[str, Any]], bool]:
        """The first datasets of a source, and whether there are more."""
        page = self._server.get(PATH, source=source, limit=limit).document(Page)
        return page["data"], page["has_more"]

    def show(self, name_or_id: str) -> dict[str, Any]:
        """An uploaded dataset by its id, or a registered one by its name."""
        return self._server.get(_path(name_or_id)).document(Dataset)

    def delete(self, dataset_id: str) -> None:
        """Delete an uploaded dataset."""
        self._server.delete(_path(dataset_id))


def _path(name_or_id: str) -> str:
    return f"{PATH}/{quote(name_or_id, safe='')}"
