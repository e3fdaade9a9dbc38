"""Which byte ranges to ask for, in which order, and whom their bytes are for."""

from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Generic, Protocol, TypeVar

import numpy as np
from numpy.typing import NDArray

LARGEST_REQUEST = 16_000_000
SMALLEST_REQUEST = 1_000_000

Done = TypeVar("Done")


@dataclass(eq=False, slots=True)
class Target(Generic[Done]):
    """Where the bytes of one piece are collected, and what follows once they are all there."""

    start: int
    end: int
    done: Callable[[NDArray[np.uint8]], Iterator[Done]]
    content: NDArray[np.uint8] | None = None
    missing: int = 0

    def take(self, offset: int, data: bytes | bytearray) -> int:
        """Copy what belongs here from `data`, which lies at `offset` in the file; how much."""
        if self.content is None:
            self.missing = self.end - self.start
            self.content = np.empty(self.missing, np.uint8)
        low, high = max(offset, self.start), min(offset + len(data), self.end)
        part = np.frombuffer(data, np.uint8)[low - offset : high - offset]
        self.content[low - self.start : high - self.start] = part
        self.missing -= high - low
        return high - low

    def finish(self) -> Iterator[Done]:
        """What is complete with this piece, which lets go of its bytes."""
        content, self.content = self.content, None
        if content is not None:
            yield from self.done(content)


@dataclass(frozen=True, slots=True)
class Run(Generic[Done]):
    """A part of a file that is read from end to end, with its targets by offset; or all of it."""

    file: str
    start: int
    end: int
    targets: Sequence[Target[Done]]
    whole: bool = False


@dataclass(frozen=True, slots=True)
class Request(Generic[Done]):
    """One range to ask for, and the targets that it has bytes for."""

    file: str
    start: int
    end: int
    targets: tuple[Target[Done], ...]
    whole: bool

    @property
    def size(self) -> int:
        """Bytes asked for."""
        return self.end - self.start


class Spanned(Protocol):
    """Anything that lies from `start` up to `end` in a file."""

    @property
    def start(self) -> int:
        """Offset of the first byte."""

    @property
    def end(self) -> int:
        """Offset after the last byte."""


Span = TypeVar("Span", bound=Spanned)


def touching(spans: Iterable[Span]) -> Iterator[tuple[int, int, list[Span]]]:
    """Start, end and members of each run of spans that touch or overlap, by offset."""
    together: list[Span] = []
    end = 0
    for span in sorted(spans, key=lambda span: (span.start, span.end)):
        if together and span.start > end:
            yield together[0].start, end, together
            together = []
        end = max(end, span.end) if together else span.end
        together.append(span)
    if together:
        yield together[0].start, end, together


def requests(runs: Sequence[Run[Done]], largest: int) -> Iterator[Request[Done]]:
    """The requests for all runs: smaller near both ends, where the solver waits for each."""
    largest = max(SMALLEST_REQUEST, min(LARGEST_REQUEST, largest))
    total, done = sum(run.end - run.start for run in runs), 0
    for run in runs:
        waiting, active, low = deque(run.targets), list[Target[Done]](), run.start
        while low < run.end:
            size = min(largest, max(SMALLEST_REQUEST, min(done, total - done) // 16))
            high = min(low + size, run.end)
            while waiting and waiting[0].start < high:
                active.append(waiting.popleft())
            yield Request(run.file, low, high, tuple(active), run.whole)
            active = [target for target in active if target.end > high]
            low, done = high, done + high - low
