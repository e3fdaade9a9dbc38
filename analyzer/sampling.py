"""What of a weight is solved: all of it, windows of one shape, or random halves; rounded or not.

Windows of a fixed aspect ratio are FARMS (https://github.com/HUST-AI-HYZ/FARMS): their eigenvalues
are pooled, so that matrices of all shapes are measured alike. Random halves say how far alpha
moves with the rows and columns that a matrix happens to have.
"""

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from math import isfinite
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from analyzer.errors import InvalidOption
from analyzer.outline import Matrix, Record

Index = slice | NDArray[np.int64]
Place = tuple[Index, Index]
"""Rows and columns of one window."""


MOST_STARTS = 100
"""10,000 windows of a matrix, whose spectra fit in memory."""


class Windows(Record):
    """Windows of `rows` × `rows · ratio`, from `starts` starts along each side.

    The long side of a window lies along the long side of the matrix. Where a window would not
    fit, it shrinks with its ratio kept; starts are spread evenly from one end to the other.
    """

    rows: int = 2000
    ratio: float = 1.0
    starts: int = 15

    @property
    def name(self) -> str:
        """What stands for it in a spectrum's key."""
        return f"windows rows={self.rows} ratio={self.ratio!r} starts={self.starts}"

    def check(self) -> None:
        """Raise InvalidOption for windows that no matrix has."""
        if self.rows < 1:
            raise InvalidOption(f"sample-rows is {self.rows}; use at least 1, for example 2000")
        if not (isfinite(self.ratio) and self.ratio >= 1.0):
            raise InvalidOption(
                f"sample-ratio is {self.ratio}; it is the long side over the short one, at least 1"
            )
        if not 1 <= self.starts <= MOST_STARTS:
            raise InvalidOption(f"sample-starts is {self.starts}; use 1 to {MOST_STARTS}")

    def shape(self, shape: tuple[int, int]) -> tuple[int, int]:
        """Rows and columns of every window of a matrix of that shape."""
        short, long = min(shape), max(shape)
        side = max(1, min(self.rows, short, int(long / self.ratio)))
        other = min(int(side * self.ratio), long)
        return (side, other) if shape[0] <= shape[1] else (other, side)

    def places(self, shape: tuple[int, int], content: str) -> Iterator[Place]:
        """Every window of a matrix of that shape, whatever it contains."""
        rows, columns = self.shape(shape)
        for top in self._starts(shape[0] - rows):
            for left in self._starts(shape[1] - columns):
                yield slice(top, top + rows), slice(left, left + columns)

    def _starts(self, room: int) -> list[int]:
        steps = max(1, self.starts - 1)
        return sorted({room * step // steps for step in range(self.starts)})


FARMS_WINDOWS = Windows()
"""What FARMS' scripts use for Llama models."""


class Halves(Record):
    """`draws` random sub-matrices of half the rows and half the columns, so of equal ratio."""

    draws: int = 200
    seed: int = 0

    @property
    def name(self) -> str:
        """What stands for it in a spectrum's key."""
        return f"halves draws={self.draws} seed={self.seed}"

    def check(self) -> None:
        """Raise InvalidOption for a number of draws that says nothing, or a negative seed."""
        if not 2 <= self.draws <= 10_000:
            raise InvalidOption(f"{self.draws} draws of halves; use 2 to 10000, for example 200")
        if self.seed < 0:
            raise InvalidOption(f"the seed is {self.seed}; use 0 or more")

    def places(self, shape: tuple[int, int], content: str) -> Iterator[Place]:
        """The halves of a matrix by what stands for its content: the same on every machine."""
        digest = hashlib.sha256(content.encode()).digest()
        generator = np.random.default_rng([self.seed, int.from_bytes(digest[:8], "big")])
        for _ in range(self.draws):
            rows, columns = (
                np.sort(generator.choice(size, max(1, size // 2), replace=False)) for size in shape
            )
            yield rows, columns


class Places(Protocol):
    """Windows or halves."""

    @property
    def name(self) -> str:
        """What stands for it in a spectrum's key."""

    def places(self, shape: tuple[int, int], content: str) -> Iterator[Place]:
        """Equal windows of a matrix."""


@dataclass(frozen=True, slots=True)
class Sampling:
    """What is done to a weight before it is solved; by default nothing."""

    places: Places | None = None
    rounded: bool = False
    """To bfloat16, to nearest even."""

    def name(self, matrix: Matrix) -> str:
        """What stands for it in the key of a matrix's spectrum.

        Rounding a weight that is stored in bfloat16 changes nothing.
        """
        places = self.places.name if self.places else "all"
        exact = matrix.dtype == "BF16" and matrix.packing is None
        return f"{places}, bfloat16" if self.rounded and not exact else places


UNSAMPLED = Sampling()
"""The weight as it is."""


def content_of(matrix: Matrix, tensor_sha256: str) -> str:
    """What stands for the content of a matrix, so that copies of a weight have the same halves."""
    return f"{tensor_sha256} {matrix.view.model_dump_json()}"
