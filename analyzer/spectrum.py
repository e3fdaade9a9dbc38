"""The spectrum of one matrix: the product that is kept."""

from dataclasses import dataclass
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
    `ok` the values are NaN.
    """

    values: NDArray[np.float64]
    precision: Precision
    status: SpectrumStatus = "ok"

    @property
    def null_level(self) -> float:
        """n · eps · λ_max: at or below it an eigenvalue is rounding noise of a zero."""
        if not self.values.size:
            return 0.0
        return float(self.values.size * np.finfo(self.precision).eps * self.values[-1])

    @property
    def nulls(self) -> int:
        """How many eigenvalues are zero to working precision."""
        return int(np.searchsorted(self.values, self.null_level, side="right"))
