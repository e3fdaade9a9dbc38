"""The empirical spectral density of a spectrum, and the tail that was fitted to it."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from analyzer.spectrum import Spectrum
from analyzer.tails import Fit


@dataclass(frozen=True, slots=True)
class Density:
    """`edges` (bins + 1) and `density` (bins): share of all eigenvalues per unit of λ."""

    edges: NDArray[np.float64]
    density: NDArray[np.float64]
    zeros: int


def log_density(spectrum: Spectrum, bins: int) -> Density:
    """Bins of equal width in log λ over all eigenvalues above rounding level."""
    values = spectrum.pooled().values
    positive = values[values > spectrum.null_level]
    zeros = int(values.size - positive.size)
    if positive.size == 0 or spectrum.status != "ok":
        return Density(np.empty(0), np.empty(0), zeros)
    low, high = float(positive[0]), float(positive[-1])
    if low == high:
        low, high = low / 2, high * 2
    edges = np.geomspace(low, high, bins + 1)
    edges[0], edges[-1] = min(low, edges[0]), max(high, edges[-1])
    counts, _ = np.histogram(positive, edges)
    return Density(edges, counts / (values.size * np.diff(edges)), zeros)


def tail_line(
    spectrum: Spectrum, fit: Fit
) -> tuple[tuple[float, float], tuple[float, float]] | None:
    """(x, y) ends of the fitted density p(λ) = s (α − 1)/xmin (λ/xmin)^−α; None without a fit.

    s is the share of eigenvalues in the tail, so that the line lies on the density's scale.
    """
    if fit.alpha is None or fit.xmin is None or fit.tail is None:
        return None
    values = spectrum.pooled().values
    share = fit.tail / values.size
    xmin, largest = fit.xmin, float(values[-1])
    first = share * (fit.alpha - 1) / xmin
    return (xmin, largest), (first, first * (largest / xmin) ** -fit.alpha)
