"""Bytes that can be sent: a part of a file on disk or of a string in memory, and byte ranges."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

CHUNK = 256 * 1024


@dataclass(frozen=True)
class Content:
    """Bytes `start` to `stop` of `source`. A file is read while it is sent, never before."""

    source: Path | bytes
    start: int
    stop: int

    @classmethod
    def of(cls, source: Path | bytes) -> "Content":
        return cls(source, 0, len(source) if isinstance(source, bytes) else source.stat().st_size)

    def __len__(self) -> int:
        return self.stop - self.start

    def __iter__(self) -> Iterator[bytes]:
        if isinstance(self.source, bytes):
            yield self.source[self.start : self.stop]
            return
        with self.source.open("rb") as file:
            file.seek(self.start)
            left = len(self)
            while left and (piece := file.read(min(CHUNK, left))):
                left -= len(piece)
                yield piece


class NotSatisfiable(Exception):
    """The range begins behind the end."""


def wanted(header: str | None, size: int) -> tuple[int, int] | None:
    """Start and stop of `bytes=a-b`, `bytes=a-` or `bytes=-n`; None asks for everything."""
    match = re.fullmatch(r"bytes=(\d*)-(\d*)", (header or "").replace(" ", ""))
    if match is None or match.groups() == ("", ""):
        return None
    first, last = match.groups()
    if first == "":
        start, stop = max(size - int(last), 0), size
    else:
        start, stop = int(first), min(int(last) + 1, size) if last else size
        if last and int(last) < start:
            return None
    if start >= size or start >= stop:
        raise NotSatisfiable
    return start, stop
