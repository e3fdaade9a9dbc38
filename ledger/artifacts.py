"""Bytes by their sha256: in the database, or where they are large in a file of the data folder."""

import hashlib
import os
import time
from collections.abc import Collection, Iterable, Iterator
from contextlib import suppress
from pathlib import Path
from tempfile import NamedTemporaryFile

from sqlalchemy import Connection, delete, exists, not_, or_, select

from ledger.clock import now
from ledger.database import Database
from ledger.drafts import DRAFT, Draft, kept_in, link_or_copy, sha256_of, sync_folder
from ledger.errors import DamagedArtifact
from ledger.insert import upsert
from ledger.tables import artifacts, datasets, files, outlines, results, spectra

MOST_IN_ONE_QUERY = 500
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
        _record(connection, digest, len(content), content if inline else None)
        return digest

    def draft(self) -> Draft:
        """An empty file to write large content into, for `put_file`. Raises StoreError."""
        return Draft(self._folder)

    def put_file(self, connection: Connection, path: Path, sha256: str | None = None) -> str:
        """Keep a whole file of this folder's volume, such as a draft; its sha256.

        It is moved, not copied. Where its sha256 is not given it is read here, which for a large
        file keeps the transaction open for long. Raises StoreError.
        """
        with kept_in(self._folder):
            size = path.stat().st_size
            if size <= self._inline:
                digest = self.put(connection, path.read_bytes())
                path.unlink()
                return digest
            digest = sha256 or sha256_of(path)
            sharing_lock(connection)
            place = self.path_of(digest)
            place.parent.mkdir(parents=True, exist_ok=True)
            with path.open("rb") as file:
                os.fsync(file.fileno())
            path.replace(place)
            sync_folder(place.parent)
        _record(connection, digest, size, None)
        return digest

    def file_of(self, database: Database, digest: str, place: Path) -> Path:
        """Make `place` a file with the bytes of that sha256, hashed before it is given; `place`.

        Where it can be it is a link, which outlasts the artifact: read it, do not write into it.
        Not for inside a transaction, which a large file would keep open for long. Raises
        DamagedArtifact where the bytes are not there or wrong, or StoreError.
        """
        row = select(artifacts.c.content).where(artifacts.c.sha256 == digest)
        with database.glance() as connection:
            found = connection.execute(row).one_or_none()
        with kept_in(place.parent):
            place.parent.mkdir(parents=True, exist_ok=True)
            place.unlink(missing_ok=True)
            if found is not None and found.content is not None:
                place.write_bytes(found.content)
            elif found is not None:
                with suppress(FileNotFoundError):
                    link_or_copy(self.path_of(digest), place)
            if not place.exists() or sha256_of(place) != digest:
                place.unlink(missing_ok=True)
                raise DamagedArtifact(
                    f"artifact {digest[:12]} is gone or damaged; upload its data again"
                )
        return place

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

    def drop_unused(
        self, connection: Connection, most: int, among: Collection[str] | None = None
    ) -> int:
        """Delete artifacts, of these alone where any are named, that nothing refers to; how many.

        Their files go before the transaction ends: whoever puts the same bytes waits for it.
        """
        if connection.dialect.name == "postgresql":
            connection.exec_driver_sql(f"SELECT pg_advisory_xact_lock({_LOCK})")
        used = (
            exists(select(1).where(table.c.artifact == artifacts.c.sha256))
            for table in (results, outlines, spectra, datasets, files)
        )
        in_file = artifacts.c.content.is_(None)
        unused = select(artifacts.c.sha256, in_file).where(not_(or_(*used))).limit(most)
        if among is not None:
            unused = unused.where(artifacts.c.sha256.in_(among))
        gone = {digest: filed for digest, filed in connection.execute(unused)}
        connection.execute(delete(artifacts).where(artifacts.c.sha256.in_(gone)))
        for digest, filed in gone.items():
            if filed:
                self.path_of(digest).unlink(missing_ok=True)
        return len(gone)

    def sweep(self, older: float) -> int:
        """Delete drafts that a death left behind, untouched for so many seconds; how many."""
        swept = 0
        for draft in self._folder.glob(f"*/{DRAFT}*"):
            with suppress(FileNotFoundError):  # whoever wrote it has ended meanwhile
                if time.time() - draft.stat().st_mtime > older:
                    draft.unlink()
                    swept += 1
        return swept

    def path_of(self, digest: str) -> Path:
        """Where the file of a large artifact lies, if there is one."""
        return self._folder / digest[:2] / digest

    def _read(self, digest: str) -> bytes:
        try:
            return self.path_of(digest).read_bytes()
        except OSError:
            return b""

    def _write(self, digest: str, content: bytes) -> None:
        """Written aside and renamed, so that a reader never sees half of it."""
        path = self.path_of(digest)
        with kept_in(self._folder):
            path.parent.mkdir(parents=True, exist_ok=True)
            with NamedTemporaryFile(dir=path.parent, prefix=DRAFT, delete=False) as draft:
                try:
                    draft.write(content)
                    draft.flush()
                    os.fsync(draft.fileno())
                    Path(draft.name).replace(path)
                finally:
                    Path(draft.name).unlink(missing_ok=True)


def _record(connection: Connection, digest: str, size: int, content: bytes | None) -> None:
    row = {"sha256": digest, "bytes": size, "content": content, "created_at": now()}
    differs = artifacts.c.content.is_distinct_from
    upsert(connection, artifacts, row, key=["sha256"], where=lambda new: differs(new.content))


def sharing_lock(connection: Connection) -> None:
    """Until the transaction ends nothing is dropped that it may refer to; others put meanwhile."""
    if connection.dialect.name == "postgresql":
        connection.exec_driver_sql(f"SELECT pg_advisory_xact_lock_shared({_LOCK})")


def in_parts(digests: Iterable[str]) -> Iterator[list[str]]:
    """Digests in lists that one query can name."""
    ordered = sorted(set(digests))
    for first in range(0, len(ordered), MOST_IN_ONE_QUERY):
        yield ordered[first : first + MOST_IN_ONE_QUERY]
