"""Read units ahead of the solver: bytes pass once, in order, within a bound.

A file is either read `whole`, hashed as it passes and compared with its sha256 at the end, or only
where its pieces lie. Requests of up to 32 MB run ahead on as many connections as the source likes.
"""

import hashlib
from collections import defaultdict, deque
from collections.abc import Callable, Collection, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from functools import partial
from itertools import takewhile

import numpy as np
from numpy.typing import NDArray

from analyzer.buffer import Buffer
from analyzer.errors import CorruptFile
from analyzer.source import Source
from analyzer.units import Unit

LARGEST_REQUEST = 32_000_000
SMALLEST_REQUEST = 1_000_000


@dataclass(eq=False, slots=True)
class Loaded:
    """A unit with the bytes of its pieces, by role, and the sha256 of them all."""

    unit: Unit
    content: dict[str, NDArray[np.uint8]]
    sha256: str
    give_back: Callable[[], None]


@dataclass(frozen=True, slots=True)
class Checked:
    """A whole file whose bytes, and with them all units that it closed, are those of its sha256."""

    file: str


@dataclass(eq=False, slots=True)
class _Target:
    """Where the bytes of one piece are collected."""

    start: int
    end: int
    done: Callable[[NDArray[np.uint8]], Iterator[Loaded]]
    content: NDArray[np.uint8] | None = None
    missing: int = 0

    def take(self, offset: int, data: bytes) -> int:
        """Copy what belongs here from `data`, which lies at `offset` in the file; how much."""
        if self.content is None:
            self.missing = self.end - self.start
            self.content = np.empty(self.missing, np.uint8)
        low, high = max(offset, self.start), min(offset + len(data), self.end)
        part = np.frombuffer(data, np.uint8)[low - offset : high - offset]
        self.content[low - self.start : high - self.start] = part
        self.missing -= high - low
        return high - low

    def finish(self) -> Iterator[Loaded]:
        """What is complete with this piece, which lets go of its bytes."""
        content, self.content = self.content, None
        if content is not None:
            yield from self.done(content)


@dataclass(frozen=True, slots=True)
class _Span:
    """One request."""

    file: str
    start: int
    end: int

    @property
    def size(self) -> int:
        return self.end - self.start


@dataclass(slots=True)
class _File:
    """The targets of one file, by offset, and its hash where it is read whole."""

    targets: deque[_Target] = field(default_factory=deque)
    hash: "hashlib._Hash | None" = None


class Stream:
    """Units of one source, in the order of their bytes."""

    def __init__(
        self, source: Source, units: Sequence[Unit], *, whole: Collection[str], buffer: Buffer
    ) -> None:
        """Read `units`, the files in `whole` from end to end; `buffer` bounds what is ahead."""
        self._source = source
        self._buffer = buffer
        self._files: defaultdict[str, _File] = defaultdict(_File)
        self._size = max(SMALLEST_REQUEST, min(LARGEST_REQUEST, buffer.limit // 16))
        for unit in units:
            self._collect(unit)
        for file in whole:
            self._files[file].hash = hashlib.sha256()
            for start, end, sha256 in source.seen(file):
                self._compare(file, start, end, sha256)
        for entry in self._files.values():
            entry.targets = deque(sorted(entry.targets, key=lambda t: (t.start, t.end)))

    def __iter__(self) -> Iterator[Loaded | Checked]:
        """Every unit as soon as its bytes are there, and every whole file that was checked.

        Raises CorruptFile where a whole file is not what its commit names; the units that were
        read from it must then be forgotten. Raises AnalyzerError where a read fails.
        """
        waiting: deque[tuple[_Span, Future[bytes]]] = deque()
        connections = max((self._source.file(file).connections for file in self._files), default=1)
        with ThreadPoolExecutor(connections, "reader") as pool:
            try:
                for span in self._spans():
                    while not self._buffer.fits(span.size):
                        if waiting:
                            yield from self._receive(*waiting.popleft())
                        elif not self._buffer.wait():
                            break
                    self._buffer.add(span.size)
                    request = pool.submit(self._source.fetch, span.file, span.start, span.end)
                    waiting.append((span, request))
                    if len(waiting) > 2 * connections:
                        yield from self._receive(*waiting.popleft())
                while waiting:
                    yield from self._receive(*waiting.popleft())
            finally:
                pool.shutdown(cancel_futures=True)

    def _spans(self) -> Iterator[_Span]:
        """The requests, smaller near both ends: the first and last units wait for few bytes."""
        runs = [(file, *run) for file in sorted(self._files) for run in self._runs(file)]
        total, done = sum(high - low for _, low, high in runs), 0
        for file, low, high in runs:
            while low < high:
                size = min(self._size, max(SMALLEST_REQUEST, min(done, total - done) // 16))
                span = _Span(file, low, min(low + size, high))
                yield span
                low, done = span.end, done + span.size

    def _runs(self, file: str) -> list[tuple[int, int]]:
        """What is read of a file: all of it, or the runs of pieces that touch each other."""
        entry = self._files[file]
        if entry.hash is not None:
            return [(0, self._source.file(file).size)]
        runs: list[tuple[int, int]] = []
        for target in entry.targets:
            if runs and target.start <= runs[-1][1]:
                runs[-1] = runs[-1][0], max(runs[-1][1], target.end)
            else:
                runs.append((target.start, target.end))
        return runs

    def _receive(self, span: _Span, request: Future[bytes]) -> Iterator[Loaded | Checked]:
        data = request.result()
        entry = self._files[span.file]
        if entry.hash is not None:
            entry.hash.update(data)
        while entry.targets and entry.targets[0].end <= span.start:
            entry.targets.popleft()
        kept = 0
        for target in tuple(takewhile(lambda target: target.start < span.end, entry.targets)):
            if target.end > span.start:
                kept += target.take(span.start, data)
                if not target.missing:
                    yield from target.finish()
        self._buffer.drop(span.size - kept)
        if entry.hash is not None and span.end == self._source.file(span.file).size:
            self._check(span.file, entry.hash.hexdigest())
            yield Checked(span.file)

    def _check(self, file: str, found: str) -> None:
        expected = self._source.sha256(file)
        if found != expected:
            raise CorruptFile(
                f"{self._source.file(file).name} has sha256 {found[:12]}…, but its commit names "
                f"{expected[:12]}…; nothing that was read from it is kept, run again"
            )

    def _collect(self, unit: Unit) -> None:
        """Collect the pieces of a unit, which is handed over with the last of them."""
        content: dict[str, NDArray[np.uint8]] = {}

        def done(role: str, found: NDArray[np.uint8]) -> Iterator[Loaded]:
            content[role] = found
            if len(content) == len(unit.pieces):
                yield self._loaded(unit, {name: content.pop(name) for name in unit.pieces})

        for role, piece in unit.pieces.items():
            if piece.nbytes:
                target = _Target(piece.start, piece.end, partial(done, role))
                self._files[piece.file].targets.append(target)
            else:
                content[role] = np.empty(0, np.uint8)

    def _loaded(self, unit: Unit, content: dict[str, NDArray[np.uint8]]) -> Loaded:
        digest = hashlib.sha256()
        for part in content.values():
            digest.update(part.data)
        self._buffer.lend()
        size = sum(part.nbytes for part in content.values())
        return Loaded(unit, content, digest.hexdigest(), partial(self._buffer.give_back, size))

    def _compare(self, file: str, start: int, end: int, sha256: str) -> None:
        """Compare what shaped the outline with the same bytes as they pass."""

        def done(found: NDArray[np.uint8]) -> Iterator[Loaded]:
            self._buffer.drop(found.nbytes)
            if hashlib.sha256(found.data).hexdigest() != sha256:
                raise CorruptFile(
                    f"{self._source.file(file).name} changed between two readings of bytes "
                    f"{start} to {end}; run again"
                )
            yield from ()

        self._files[file].targets.append(_Target(start, end, done))
