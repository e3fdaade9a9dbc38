"""Reading and solving at the same time: what the reader brings is solved in order."""

from collections import deque
from collections.abc import Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from functools import partial
from queue import SimpleQueue
from threading import Thread
from typing import TYPE_CHECKING

from analyzer.buffer import Buffer
from analyzer.store import StoredSpectrum
from analyzer.stream import Checked, Loaded

if TYPE_CHECKING:
    from analyzer.solver import MatrixSolver, Solved

Read = Loaded | Checked


class Pipeline:
    """Solves a stream: small units side by side, a large one alone, equal tensors once."""

    def __init__(self, solver: "MatrixSolver", buffer: Buffer) -> None:
        """Solve with `solver`; `buffer` is the one that bounds the stream."""
        self._solver = solver
        self._buffer = buffer
        self._events: SimpleQueue[Read | BaseException | str | None] = SimpleQueue()
        self._pending: deque[Read] = deque()
        self._running: dict[str, Future[list[Solved]]] = {}
        self._twins: dict[str, list[StoredSpectrum]] = {}

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
                    elif isinstance(event, str):
                        yield from self._returned(event)
                    elif isinstance(event, BaseException):
                        for twin in list(self._running):
                            yield from self._returned(twin)
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
            twin = _twin(item)
            if twin in self._twins:
                item.give_back()
                yield from self._solver.as_twin(item.unit, self._twins[twin])
            elif self._solver.is_small(item):
                self._running[twin] = work = pool.submit(self._solver.unit, item)
                work.add_done_callback(partial(self._announce, twin))
            else:
                yield from self._finish(twin, self._solver.unit(item))

    def _may_start(self, item: Read) -> bool:
        """Small units run up to a number, unless a twin runs; all else waits for them."""
        if isinstance(item, Loaded) and self._solver.is_small(item):
            full = len(self._running) >= 2 * self._solver.side_by_side
            return not full and _twin(item) not in self._running
        return not self._running

    def _returned(self, twin: str) -> Iterator["Solved"]:
        work = self._running.pop(twin, None)
        if work is not None:
            yield from self._finish(twin, work.result())

    def _announce(self, twin: str, _: object) -> None:
        self._events.put(twin)

    def _finish(self, twin: str, found: list["Solved"]) -> list["Solved"]:
        self._twins[twin] = [solved.stored for solved in found]
        return found


def _twin(loaded: Loaded) -> str:
    """What two units share that have the same spectra."""
    first = loaded.unit.matrices[0]
    views = [
        (matrix.shape, matrix.view.model_copy(update={"expert": None}))
        for matrix in loaded.unit.matrices
    ]
    how = first.packing and first.packing.recipe
    return repr((loaded.sha256, first.dtype, how, views))
