"""Files that are being written: bytes from outside, hashed as they come, under no name yet."""

import hashlib
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import NamedTemporaryFile
from types import TracebackType
from typing import Self

from analyzer.errors import StoreError

DRAFT = ".new-"
_INCOMING = "incoming"


class Draft:
    """A file of the artifacts folder that nothing refers to; gone when its context ends.

    What was put into its place by then stays, under its name there.
    """

    def __init__(self, folder: Path) -> None:
        """Open an empty one below the artifacts folder. Raises StoreError."""
        self._folder = folder
        self._hash = hashlib.sha256()
        self.size = 0
        with kept_in(folder):
            place = folder / _INCOMING
            place.mkdir(parents=True, exist_ok=True)
            self._file = NamedTemporaryFile(dir=place, prefix=DRAFT, delete=False)  # noqa: SIM115
        self.path = Path(self._file.name)

    def __enter__(self) -> Self:
        """Write into it."""
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Remove what is left of it."""
        try:
            self._file.close()
        finally:
            self.path.unlink(missing_ok=True)

    @property
    def sha256(self) -> str:
        """Of the bytes so far."""
        return self._hash.hexdigest()

    def write(self, content: bytes) -> None:
        """Add bytes. Raises StoreError."""
        with kept_in(self._folder):
            self._file.write(content)
        self._hash.update(content)
        self.size += len(content)

    def finish(self) -> None:
        """Bring all of it to the disk; nothing is written after that. Raises StoreError."""
        with kept_in(self._folder):
            self._file.flush()
            os.fsync(self._file.fileno())
            self._file.close()


@contextmanager
def kept_in(folder: Path) -> Iterator[None]:
    """Name the folder, and what to do, where the disk says no. Raises StoreError."""
    try:
        yield
    except OSError as error:
        raise StoreError(
            f"cannot keep results in {folder}: {error.strerror}; make room there, or set "
            "TAILORA_DATA to another folder"
        ) from error


def link_or_copy(file: Path, place: Path) -> None:
    """A second name for a file, or a copy of it on another volume. Raises OSError."""
    try:
        place.hardlink_to(file)
    except FileNotFoundError:
        raise
    except OSError:
        shutil.copyfile(file, place)


def sync_folder(folder: Path) -> None:
    """Bring the names in a folder to the disk."""
    number = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(number)
    finally:
        os.close(number)


def sha256_of(path: Path) -> str:
    """Of a file's bytes, read a piece at a time. Raises OSError."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
