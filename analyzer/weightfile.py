"""One file of weights, wherever it lies: the interface, and the version for local disks."""

import hashlib
import os
import stat
from pathlib import Path
from typing import Literal, Protocol

from analyzer.errors import UnreadableFile
from analyzer.text import shown

Origin = Literal["local", "hub_cache", "hub"]
"""Where bytes come from: this machine's disk, the Hub's cache on it, or the network."""

FileIdentity = tuple[int, int, int, int]
"""(device, inode, size, mtime_ns), which tells one content of a local file from another."""


class HashMemory(Protocol):
    """Remembers the sha256 of local files."""

    def get_sha256(self, identity: FileIdentity) -> str | None:
        """The remembered sha256 of a local file with that identity."""

    def put_sha256(self, identity: FileIdentity, sha256: str) -> None:
        """Remember a local file's sha256."""


class WeightFile(Protocol):
    """A file of weights that is read by byte ranges, from several threads at once."""

    name: str
    """What messages call it."""

    origin: Origin
    connections: int
    """How many reads at a time pay off."""

    trusted: bool
    """Whether every byte that `read` returns belongs to the file of that sha256."""

    @property
    def size(self) -> int:
        """Bytes of the file."""

    def sha256(self) -> str:
        """The sha256 of the whole file: computed from a local one, else what its commit names."""

    def read(self, start: int, end: int) -> bytes | bytearray:
        """Exactly the bytes from `start` up to `end`. Raises AnalyzerError where it cannot."""


class LocalFile:
    """A regular file on this machine, which must not change once it was looked at.

    Read with `pread` into memory of its own: a mapped file that is cut while it is used would
    kill the process.
    """

    connections = 1
    trusted = True

    def __init__(
        self, path: Path, memory: HashMemory | None = None, origin: Origin = "local"
    ) -> None:
        """Open nothing yet; `memory` spares hashing a file that did not change."""
        self.path = path
        self.name = shown(path)
        self.origin: Origin = origin
        self._memory = memory
        self._seen: FileIdentity | None = None

    @property
    def size(self) -> int:
        """Bytes of the file. Raises UnreadableFile where it is gone or no regular file."""
        return self.identity()[2]

    def identity(self) -> FileIdentity:
        """What the file is now, which must stay what it was when it was first looked at."""
        try:
            found = self.path.stat()
        except OSError as error:
            raise UnreadableFile(f"{self.name} cannot be read: {error.strerror}") from error
        if not stat.S_ISREG(found.st_mode):
            raise UnreadableFile(f"{self.name} is not a regular file")
        identity = found.st_dev, found.st_ino, found.st_size, found.st_mtime_ns
        self._seen = self._seen or identity
        if self._seen != identity:
            raise UnreadableFile(
                f"{self.name} changed while it was read; run again when it is complete"
            )
        return identity

    def sha256(self) -> str:
        """The sha256 of the file's bytes, remembered where there is a memory."""
        identity = self.identity()
        known = self._memory.get_sha256(identity) if self._memory else None
        if known is not None:
            return known
        try:
            with self.path.open("rb") as stream:
                digest = hashlib.file_digest(stream, "sha256").hexdigest()
        except OSError as error:
            raise UnreadableFile(f"{self.name} cannot be read: {error.strerror}") from error
        self.identity()
        if self._memory:
            self._memory.put_sha256(identity, digest)
        return digest

    def read(self, start: int, end: int) -> bytes:
        """The bytes from `start` up to `end`. Raises UnreadableFile where the file changed."""
        self.identity()
        try:
            with self.path.open("rb", buffering=0) as stream:
                content = _pread(stream.fileno(), start, end)
        except OSError as error:
            raise UnreadableFile(f"{self.name} cannot be read: {error.strerror}") from error
        self.identity()
        if len(content) != end - start:
            raise UnreadableFile(f"{self.name} ends before byte {end}; fetch it again")
        return content


def _pread(descriptor: int, start: int, end: int) -> bytes:
    """Read on until `end` or the end of the file: one call returns 2 GiB at most."""
    content = os.pread(descriptor, end - start, start)
    if len(content) in (0, end - start):
        return content
    parts = [content]
    while content:
        start += len(content)
        content = os.pread(descriptor, end - start, start)
        parts.append(content)
    return b"".join(parts)
