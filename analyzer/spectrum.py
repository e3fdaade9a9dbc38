"""The spectrum of one matrix: the product that is kept."""

from dataclasses import dataclass, replace
from typing import Literal

import numpy as np
from numpy.typing import NDArray

Precision = Literal["float32", "float64"]
Solver = Literal["gram", "svd"]
SpectrumStatus = Literal["ok", "not_finite", "no_convergence"]

NUMERICS_VERSION = 1
"""Part of every stored spectrum's key; raised when a change can change a digit that counts."""

PRECISIONS: tuple[Precision, ...] = ("float32", "float64")
SOLVERS: tuple[Solver, ...] = ("gram", "svd")


@dataclass(frozen=True, slots=True)
class Spectrum:
    """Eigenvalues λ = σ² of a weight as stored, ascending, shape (n,), never divided by anything.

    `precision` is that of the arithmetic; the values are kept in float64. Where the status is not
    `ok` the values are NaN. A sampled spectrum holds the eigenvalues of `windows` equal windows,
    shape (windows · n,), one window after the other, each ascending.
    """

    values: NDArray[np.float64]
    precision: Precision
    status: SpectrumStatus = "ok"
    windows: int = 1

    @property
    def side(self) -> int:
        """Eigenvalues of the matrix, or of one window: n."""
        return self.values.size // self.windows

    @property
    def null_level(self) -> float:
        """n · eps · λ_max: at or below it an eigenvalue is rounding noise of a zero."""
        if not self.values.size:
            return 0.0
        return float(self.side * np.finfo(self.precision).eps * self.values.max())

    def pooled(self) -> "Spectrum":
        """The eigenvalues of all windows as one ascending list."""
        return self if self.windows == 1 else replace(self, values=np.sort(self.values))

    def each(self) -> "list[Spectrum]":
        """The spectrum of every window."""
        rows = self.values.reshape(self.windows, self.side)
        return [replace(self, values=row, windows=1) for row in rows]

    @property
    def nulls(self) -> int:
        """How many eigenvalues are zero to working precision."""
        return int(np.count_nonzero(self.values <= self.null_level))
