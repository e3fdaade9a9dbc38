"""Bytes by their sha256: in the database, or where they are large in a file of the data folder."""

import hashlib
import os
import time
from collections.abc import Iterable, Iterator
from pathlib import Path
from tempfile import NamedTemporaryFile

from sqlalchemy import Connection, delete, exists, not_, or_, select

from analyzer.errors import StoreError
from ledger.clock import now
from ledger.errors import DamagedArtifact
from ledger.insert import upsert
from ledger.tables import artifacts, outlines, results, spectra

MOST_IN_ONE_QUERY = 500
DRAFT = ".new-"
_LOCK = 8_245_362


class Artifacts:
    """Keeps bytes once, and gives back exactly what was kept."""

    def __init__(self, folder: Path, inline_bytes: int) -> None:
        """Artifacts above `inline_bytes` become files in `folder`, which all processes share."""
        self._folder = folder
        self._inline = inline_bytes

    def put(self, connection: Connection, content: bytes) -> str:
        """Keep bytes; their sha256. What was damaged since is whole again. Raises StoreError."""
        digest = hashlib.sha256(content).hexdigest()
        sharing_lock(connection)
        inline = len(content) <= self._inline
        if not inline:
            self._write(digest, content)
        row = {
            "sha256": digest,
            "bytes": len(content),
            "content": content if inline else None,
            "created_at": now(),
        }
        differs = artifacts.c.content.is_distinct_from
        upsert(connection, artifacts, row, key=["sha256"], where=lambda new: differs(new.content))
        return digest

    def get(self, connection: Connection, digest: str) -> bytes:
        """The bytes of that sha256. Raises DamagedArtifact where they are not there or wrong."""
        found = self.get_all(connection, [digest])
        if digest not in found:
            raise DamagedArtifact(f"artifact {digest[:12]} is gone; run the job again")
        return found[digest]

    def get_all(self, connection: Connection, digests: Iterable[str]) -> dict[str, bytes]:
        """The bytes of those that are kept; damaged ones are left out."""
        found: dict[str, bytes] = {}
        for part in in_parts(digests):
            rows = connection.execute(
                select(artifacts.c.sha256, artifacts.c.content).where(artifacts.c.sha256.in_(part))
            )
            for digest, content in rows:
                whole = self._read(digest) if content is None else bytes(content)
                if hashlib.sha256(whole).hexdigest() == digest:
                    found[digest] = whole
        return found

    def drop_unused(self, connection: Connection, most: int) -> int:
        """Delete artifacts that nothing refers to, and their files; how many.

        The files go before the transaction ends: whoever puts the same bytes waits for it.
        """
        if connection.dialect.name == "postgresql":
            connection.exec_driver_sql(f"SELECT pg_advisory_xact_lock({_LOCK})")
        used = (
            exists(select(1).where(table.c.artifact == artifacts.c.sha256))
            for table in (results, outlines, spectra)
        )
        in_file = artifacts.c.content.is_(None)
        unused = select(artifacts.c.sha256, in_file).where(not_(or_(*used))).limit(most)
        gone = {digest: filed for digest, filed in connection.execute(unused)}
        connection.execute(delete(artifacts).where(artifacts.c.sha256.in_(gone)))
        for digest, filed in gone.items():
            if filed:
                self._path(digest).unlink(missing_ok=True)
        return len(gone)

    def sweep(self, older: float) -> int:
        """Delete drafts that a death left behind, untouched for so many seconds; how many."""
        left = [
            draft
            for draft in self._folder.glob(f"*/{DRAFT}*")
            if time.time() - draft.stat().st_mtime > older
        ]
        for draft in left:
            draft.unlink(missing_ok=True)
        return len(left)

    def _path(self, digest: str) -> Path:
        return self._folder / digest[:2] / digest

    def _read(self, digest: str) -> bytes:
        try:
            return self._path(digest).read_bytes()
        except OSError:
            return b""

    def _write(self, digest: str, content: bytes) -> None:
        """Written aside and renamed, so that a reader never sees half of it."""
        path = self._path(digest)
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            with NamedTemporaryFile(dir=path.parent, prefix=DRAFT, delete=False) as draft:
                try:
                    draft.write(content)
                    draft.flush()
                    os.fsync(draft.fileno())
                    Path(draft.name).replace(path)
                finally:
                    Path(draft.name).unlink(missing_ok=True)
        except OSError as error:
            raise StoreError(
                f"cannot keep results in {self._folder}: {error.strerror}; make room there, or set "
                "TAILORA_DATA to another folder"
            ) from error


def sharing_lock(connection: Connection) -> None:
    """Until the transaction ends nothing is dropped that it may refer to; others put meanwhile."""
    if connection.dialect.name == "postgresql":
        connection.exec_driver_sql(f"SELECT pg_advisory_xact_lock_shared({_LOCK})")


def in_parts(digests: Iterable[str]) -> Iterator[list[str]]:
    """Digests in lists that one query can name."""
    ordered = sorted(set(digests))
    for first in range(0, len(ordered), MOST_IN_ONE_QUERY):
        yield ordered[first : first + MOST_IN_ONE_QUERY]
