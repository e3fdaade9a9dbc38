"""Read units ahead of the solver: bytes pass once, in order, within a bound.

A file is either read `whole`, hashed as it passes and compared with its sha256 at the end, or only
where its pieces lie. Requests run ahead on as many connections as the source likes.
"""

import hashlib
from collections import defaultdict, deque
from collections.abc import Callable, Collection, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from functools import cached_property, partial

import numpy as np
from numpy.typing import NDArray

from analyzer.buffer import Buffer
from analyzer.errors import CorruptFile
from analyzer.requests import Request, Run, Target, requests, touching
from analyzer.source import Source
from analyzer.units import BASE, Unit

Answer = Future[bytes | bytearray]


@dataclass(eq=False)
class Loaded:
    """A unit with the bytes of its pieces, by role, and the sha256 of them all."""

    unit: Unit
    content: dict[str, NDArray[np.uint8]]
    sha256: str
    give_back: Callable[[], None]

    @cached_property
    def twin(self) -> str:
        """What two units share that have the same spectra: bytes, and what is made of them."""
        first = self.unit.matrices[0]
        views = [
            (matrix.shape, matrix.view.model_copy(update={"expert": None}))
            for matrix in self.unit.matrices
        ]
        how = first.packing and first.packing.recipe
        return repr((self.sha256, first.dtype, how, views))


@dataclass(frozen=True, slots=True)
class Checked:
    """A whole file whose bytes, and with them all units that it closed, are those of its sha256."""

    file: str


class Stream:
    """Units of one source, in the order of their bytes.

    What a packed weight needs besides (scales, zero points) is read before the file that the
    weight lies in, unless it comes first anyway, so that no weight has to wait for its scale. Units
    whose pieces lie in two checkpoints come one after the other, so that no half of one waits long.
    """

    def __init__(
        self, source: Source, units: Sequence[Unit], *, whole: Collection[str], buffer: Buffer
    ) -> None:
        """Read `units`, the files in `whole` from end to end; `buffer` bounds what is ahead."""
        self._source = source
        self._buffer = buffer
        self._hashes = {file: hashlib.sha256() for file in whole}
        self._targets: defaultdict[str, list[Target[Loaded]]] = defaultdict(list)
        self._before: defaultdict[str, list[tuple[str, Target[Loaded]]]] = defaultdict(list)
        self._in_turn: list[tuple[str, Target[Loaded]]] = []
        for unit in units:
            self._collect(unit)
        for file in whole:
            for start, end, sha256 in source.seen(file):
                self._compare(file, start, end, [sha256])

    def __iter__(self) -> Iterator[Loaded | Checked]:
        """Every unit as soon as its bytes are there, and every whole file that was checked.

        Raises CorruptFile where a whole file is not what its commit names; the units that were
        read from it must then be forgotten. Raises AnalyzerError where a read fails.
        """
        waiting: deque[tuple[Request[Loaded], Answer]] = deque()
        runs = list(self._runs())
        connections = max((self._source.file(run.file).connections for run in runs), default=1)
        with ThreadPoolExecutor(connections, "reader") as pool:
            try:
                for asked in requests(runs, self._buffer.limit // 16):
                    if self._buffer.closed or self._source.stop.is_set():
                        return
                    while not self._buffer.fits(asked.size):
                        if waiting:
                            yield from self._receive(*waiting.popleft())
                        elif not self._buffer.wait():
                            break
                    self._buffer.add(asked.size)
                    answer = pool.submit(self._source.fetch, asked.file, asked.start, asked.end)
                    waiting.append((asked, answer))
                    if len(waiting) > 2 * connections:
                        yield from self._receive(*waiting.popleft())
                while waiting:
                    yield from self._receive(*waiting.popleft())
            except BaseException:
                self._source.stop.set()  # so that the other requests end soon
                raise
            finally:
                pool.shutdown(cancel_futures=True)

    def _runs(self) -> Iterator[Run[Loaded]]:
        for file in sorted(self._targets.keys() | self._hashes.keys()):
            by_file: defaultdict[str, list[Target[Loaded]]] = defaultdict(list)
            for other, target in self._before[file]:
                by_file[other].append(target)
            for other in sorted(by_file):
                yield from self._touching(other, by_file[other])
            if file in self._hashes:
                targets = sorted(self._targets[file], key=lambda target: target.start)
                yield Run(file, 0, self._source.file(file).size, targets, whole=True)
            else:
                yield from self._touching(file, self._targets[file])
        for file, target in self._in_turn:
            yield Run(file, target.start, target.end, [target])

    def _touching(self, file: str, targets: Sequence[Target[Loaded]]) -> Iterator[Run[Loaded]]:
        for start, end, together in touching(targets):
            yield Run(file, start, end, together)

    def _receive(self, asked: Request[Loaded], answer: Answer) -> Iterator[Loaded | Checked]:
        data = answer.result()
        if asked.whole:
            self._hashes[asked.file].update(data)
        kept = 0
        for target in asked.targets:
            kept += target.take(asked.start, data)
            if not target.missing:
                yield from target.finish()
        self._buffer.drop(asked.size - kept)
        if asked.whole and asked.end == self._source.file(asked.file).size:
            self._check(asked.file, self._hashes[asked.file].hexdigest())
            yield Checked(asked.file)

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

        in_turn = any(role.startswith(BASE) for role in unit.pieces)
        for role, piece in unit.pieces.items():
            target = Target(piece.start, piece.end, partial(done, role))
            if not piece.nbytes:
                content[role] = np.empty(0, np.uint8)
            elif in_turn:
                self._in_turn.append((piece.file, target))
            elif (piece.file, piece.start) <= unit.place:
                self._targets[piece.file].append(target)
            else:
                self._read_before(unit.place[0], piece.file, target)

    def _read_before(self, main_file: str, file: str, target: Target[Loaded]) -> None:
        """Read a piece ahead of a file; where its own file is read whole it passes once more."""
        collect = target.done

        def done(found: NDArray[np.uint8]) -> Iterator[Loaded]:
            if file in self._hashes:
                sha256.append(hashlib.sha256(found.data).hexdigest())
            yield from collect(found)

        sha256: list[str] = []
        target.done = done
        self._before[main_file].append((file, target))
        if file in self._hashes:
            self._compare(file, target.start, target.end, sha256)

    def _loaded(self, unit: Unit, content: dict[str, NDArray[np.uint8]]) -> Loaded:
        digest = hashlib.sha256()
        for part in content.values():
            digest.update(part.data)
        self._buffer.lend()
        size = sum(part.nbytes for part in content.values())
        return Loaded(unit, content, digest.hexdigest(), partial(self._buffer.give_back, size))

    def _compare(self, file: str, start: int, end: int, sha256: Sequence[str]) -> None:
        """Compare bytes that were used before with the same as they pass.

        `sha256` holds that of the bytes, once they were used.
        """

        def done(found: NDArray[np.uint8]) -> Iterator[Loaded]:
            self._buffer.drop(found.nbytes)
            if sha256 and hashlib.sha256(found.data).hexdigest() != sha256[0]:
                raise CorruptFile(
                    f"{self._source.file(file).name} changed between two readings of bytes "
                    f"{start} to {end}; run again"
                )
            yield from ()

        self._targets[file].append(Target(start, end, done))
