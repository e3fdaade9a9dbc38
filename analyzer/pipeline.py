"""Reading and solving at the same time: what the reader brings is solved in order."""

from collections import deque
from collections.abc import Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from queue import SimpleQueue
from threading import Thread
from typing import TYPE_CHECKING

from analyzer.buffer import Buffer
from analyzer.errors import NotEnoughMemory
from analyzer.store import StoredSpectrum
from analyzer.stream import Checked, Loaded

if TYPE_CHECKING:
    from analyzer.solver import MatrixSolver, Solved

MOST_REMEMBERED = 8_000_000
"""Eigenvalues kept for tensors that may come again (64 MB)."""

Read = Loaded | Checked
_TOO_MUCH = "what is read ahead of the solver does not fit in memory; set --memory to less"


@dataclass(frozen=True, slots=True)
class _Task:
    """A batch that a worker solves."""

    batch: tuple[Loaded, ...]
    work: "Future[list[list[Solved]]]"


class Pipeline:
    """Solves a stream: small units side by side, a large one alone, equal tensors once."""

    def __init__(self, solver: "MatrixSolver", buffer: Buffer) -> None:
        """Solve with `solver`; `buffer` is the one that bounds the stream."""
        self._solver = solver
        self._buffer = buffer
        self._events: SimpleQueue[Read | BaseException | int | None] = SimpleQueue()
        self._pending: deque[Read] = deque()
        self._running: dict[int, _Task] = {}
        self._in_work: set[str] = set()
        self._twins: dict[str, list[StoredSpectrum]] = {}
        self._remembered = 0
        self._started = 0

    def run(self, stream: Iterable[Read]) -> Iterator["Solved | Checked"]:
        """The spectrum of each matrix as it is solved; a checked file after all that lies in it.

        Raises what reading or solving raised; what was solved by then is yielded first.
        """
        Thread(target=self._read, args=(stream,), name="stream", daemon=True).start()
        reading = True
        try:
            with self._solver.workers() as pool:
                while True:
                    yield from self._advance(pool)
                    if not (reading or self._running):
                        return
                    event = self._events.get()
                    if event is None:
                        reading = False
                    elif isinstance(event, int):
                        yield from self._returned(event)
                    elif isinstance(event, BaseException):
                        for number in list(self._running):
                            yield from self._returned(number)
                        if isinstance(event, MemoryError):
                            raise NotEnoughMemory(_TOO_MUCH) from event
                        raise event
                    else:
                        self._pending.append(event)
        finally:
            self._buffer.close()

    def _read(self, stream: Iterable[Read]) -> None:
        """The reader's thread."""
        try:
            for item in stream:
                self._events.put(item)
            self._events.put(None)
        except BaseException as error:  # passed on to the thread that waits for it
            self._events.put(error)

    def _advance(self, pool: ThreadPoolExecutor) -> Iterator["Solved | Checked"]:
        """Start what can start, in order."""
        while self._pending and self._may_start(self._pending[0]):
            item = self._pending.popleft()
            if isinstance(item, Checked):
                yield item
                continue
            twin = item.twin
            if twin in self._twins:
                item.give_back()
                yield from self._solver.as_twin(item.unit, self._twins[twin])
                continue
            batch = self._batch(item)
            if self._solver.is_small(item):
                self._start(batch, pool)
            else:
                yield from self._finish(batch, self._solver.batch(batch))

    def _may_start(self, item: Read) -> bool:
        """Small units run up to a number, unless a twin runs; all else waits for them."""
        if isinstance(item, Loaded) and self._solver.is_small(item):
            full = len(self._running) >= 2 * self._solver.side_by_side
            return not full and item.twin not in self._in_work
        return not self._running

    def _batch(self, first: Loaded) -> tuple[Loaded, ...]:
        """A unit with those behind it that the solver takes in one batch with it."""
        batch, twins = [first], {first.twin}
        while self._pending:
            item = self._pending[0]
            if isinstance(item, Checked) or not self._solver.takes_together([*batch, item]):
                break
            twin = item.twin
            if twin in twins or twin in self._twins or twin in self._in_work:
                break
            self._pending.popleft()
            batch.append(item)
            twins.add(twin)
        return tuple(batch)

    def _start(self, batch: tuple[Loaded, ...], pool: ThreadPoolExecutor) -> None:
        self._started += 1
        self._in_work |= {item.twin for item in batch}
        work = pool.submit(self._solver.batch, batch)
        self._running[self._started] = _Task(batch, work)
        work.add_done_callback(partial(self._announce, self._started))

    def _announce(self, number: int, _: object) -> None:
        self._events.put(number)

    def _returned(self, number: int) -> Iterator["Solved"]:
        task = self._running.pop(number, None)
        if task is not None:
            yield from self._finish(task.batch, task.work.result())

    def _finish(self, batch: tuple[Loaded, ...], found: list[list["Solved"]]) -> Iterator["Solved"]:
        for item, solved in zip(batch, found, strict=True):
            twin = item.twin
            self._in_work.discard(twin)
            self._remember(twin, [one.stored for one in solved])
            yield from solved

    def _remember(self, twin: str, found: list[StoredSpectrum]) -> None:
        """Keep the spectra for a twin; the oldest go where they become too many."""
        self._twins[twin] = found
        self._remembered += _eigenvalues(found)
        while self._remembered > MOST_REMEMBERED and len(self._twins) > 1:
            oldest = self._twins.pop(next(iter(self._twins)))
            self._remembered -= _eigenvalues(oldest)


def _eigenvalues(spectra: list[StoredSpectrum]) -> int:
    return sum(stored.spectrum.values.size for stored in spectra)
