"""Estimators of the power-law exponent alpha of a spectrum's tail, p(λ) ∝ λ^−alpha.

For a tail that starts at index i of n ascending eigenvalues, with m = n − i and
S = Σ_{j≥i} ln(λ_j / λ_i):

    alpha = 1 + m / S
    D     = max_{t<m} | 1 − (λ_{i+t} / λ_i)^(1−alpha) − t / m |

The threshold is counted in m, and D compares with the empirical distribution from the left only,
as in AlphaLoRA, AlphaPruning, WeightWatcher and powerlaw. Estimators differ in how they choose i.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from analyzer.errors import InvalidOption
from analyzer.outline import Record
from analyzer.spectrum import Precision, Spectrum

FitStatus = Literal[
    "ok",
    "too_few_eigenvalues",
    "rank_deficient",
    "zero_matrix",
    "flat_spectrum",
    "no_candidate",
    "not_finite",
    "no_convergence",
    "needs_float64",
]

MIN_EIGENVALUES = 8
"""Below this the tail half holds fewer than four values (WeightWatcher stops at 8 too)."""

_HISTOGRAM_BINS = 100
_BLOCK = 2048
_POINTS, _MORE_POINTS = 128, 2048
_ROUNDING = 1e-12

Floats = NDArray[np.float64]
Candidates = tuple[int, int]


class Fit(Record):
    """What an estimator found. Numbers are null unless the status is `ok`."""

    status: FitStatus
    alpha: float | None = Field(None, description="density exponent of p(λ) ∝ λ^−alpha")
    nominal_standard_error: float | None = Field(
        None,
        description="(alpha − 1)/√tail, for independent draws; eigenvalues repel, so by hill the "
        "true scatter is several times smaller; null for pooled windows",
    )
    xmin: float | None = Field(None, description="smallest eigenvalue of the tail")
    tail: int | None = Field(None, description="eigenvalues in the tail, the threshold included")
    ks_distance: float | None = Field(None, description="one-sided Kolmogorov-Smirnov distance")


@dataclass(frozen=True, slots=True)
class Estimator:
    """A named rule; `version` is part of every stored fit's key."""

    name: str
    version: int
    precision: Precision
    summary: str
    candidates: Callable[[Spectrum, Floats], Candidates]


def fit(spectrum: Spectrum, estimator: str = "hill") -> Fit:
    """Fit the tail of a spectrum by a named estimator; never raises for a strange spectrum.

    The windows of a sampled spectrum are pooled. Raises InvalidOption for an unknown estimator.
    """
    rule = estimator_named(estimator)
    spectrum = spectrum.pooled()
    failure = _failure(spectrum)
    if failure is not None:
        return Fit(status=failure)
    if rule.precision == "float64" and spectrum.precision != "float64":
        return Fit(status="needs_float64")
    logs = np.log(np.maximum(spectrum.values, spectrum.null_level))
    first, last = rule.candidates(spectrum, logs)
    resolved = _last_resolved(spectrum)
    if resolved < first or resolved < len(logs) // 2:
        return Fit(status="flat_spectrum")
    first, last = max(first, spectrum.nulls), min(last, resolved)
    if first > last:
        return Fit(status="no_candidate")
    return _best(spectrum.values, logs, first, last)


def estimator_named(name: str) -> Estimator:
    """The estimator of that name. Raises InvalidOption where there is none."""
    if name not in ESTIMATORS:
        raise InvalidOption(f"estimator {name} is unknown; use one of {', '.join(ESTIMATORS)}")
    return ESTIMATORS[name]


def _failure(spectrum: Spectrum) -> FitStatus | None:
    """The status of a spectrum to which no tail can be fitted."""
    n = spectrum.values.size
    if spectrum.status != "ok":
        return spectrum.status
    if n == 0 or spectrum.null_level == 0.0:  # also where it is too small for a float
        return "zero_matrix"
    if spectrum.side < MIN_EIGENVALUES:
        return "too_few_eigenvalues"
    if spectrum.nulls > n // 2:
        return "rank_deficient"
    return None


def _last_resolved(spectrum: Spectrum) -> int:
    """The last index from which the tail rises by more than rounding; −1 for a flat spectrum.

    Weights are stored in float32 at best, so less than its rounding is none of the matrix's own.
    """
    rounding = spectrum.side * float(np.finfo(np.float32).eps)
    level = spectrum.values[-1] * (1.0 - rounding)
    return int(np.searchsorted(spectrum.values, level, side="left")) - 1


def _best(values: Floats, logs: Floats, first: int, last: int) -> Fit:
    """The fit with the smallest distance among tails that start at first..last."""
    starts = np.arange(first, last + 1)
    sizes = (len(logs) - starts).astype(np.float64)
    exponents = sizes / (np.cumsum(logs[::-1])[::-1][starts] - sizes * logs[starts])
    chosen, distance = _smallest_distance(logs, starts, exponents)
    tail = len(values) - first - chosen
    exponent = float(exponents[chosen])
    return Fit(
        status="ok",
        alpha=1.0 + exponent,
        nominal_standard_error=exponent / tail**0.5,
        xmin=float(values[first + chosen]),
        tail=tail,
        ks_distance=distance,
    )


def _smallest_distance(
    logs: Floats, starts: NDArray[np.int64], exponents: Floats
) -> tuple[int, float]:
    """Position and D of the first tail with the smallest D.

    D is at least its value at some points of the tail. Tails are measured in full in the order of
    that bound, until no other can be better, a long one at more points before: exact, at a
    fraction of the n²/2 of measuring all.
    """
    bounds = _lower_bounds(logs, starts, exponents)
    best, chosen = np.inf, -1
    for position in np.argsort(bounds, kind="stable"):
        worse = best * (1.0 + _ROUNDING)
        if bounds[position] > worse:
            break
        tail, exponent = logs[starts[position] :], exponents[position]
        step = len(tail) // _MORE_POINTS
        if step > 1 and _distance(tail, exponent, step) > worse:
            continue
        distance = _distance(tail, exponent)
        if (distance, position) < (best, chosen):
            best, chosen = distance, int(position)
    return chosen, best


def _distance(tail: Floats, exponent: float, step: int = 1) -> float:
    """D of a tail, at every `step`-th of its points."""
    ranks = np.arange(0, len(tail), step)
    model = -np.expm1((tail[0] - tail[::step]) * exponent)
    return float(np.abs(model - ranks / len(tail)).max())


def _lower_bounds(logs: Floats, starts: NDArray[np.int64], exponents: Floats) -> Floats:
    """D of each tail, taken at few points only; shape (starts,)."""
    n = len(logs)
    points = np.unique(np.append(np.arange(0, n, max(1, n // _POINTS)), n - 1))
    bounds = np.empty(len(starts))
    for low in range(0, len(starts), _BLOCK):
        rows = slice(low, low + _BLOCK)
        first = starts[rows, None]
        seen = points[points >= starts[low]]
        ranks = np.maximum(seen - first, 0) / (n - first)
        rise = np.maximum(logs[seen] - logs[first], 0.0)
        model = -np.expm1(-exponents[rows, None] * rise)
        bounds[rows] = np.abs(model - ranks).max(axis=1)
    return bounds


def _tail_half(spectrum: Spectrum, logs: Floats) -> Candidates:
    middle = len(logs) // 2
    return middle, middle


def _all(spectrum: Spectrum, logs: Floats) -> Candidates:
    return 0, len(logs) - 2


def _window(spectrum: Spectrum, low: float, high: float) -> Candidates:
    """Indices of low ≤ λ ≤ high, the largest λ excluded."""
    last = int(np.searchsorted(spectrum.values, high, side="right")) - 1
    first = int(np.searchsorted(spectrum.values, low, side="left"))
    return first, min(last, spectrum.values.size - 2)


def _histogram_peak(logs: Floats) -> float:
    """Left edge of the first fullest of 100 equal bins of log10 λ."""
    counts, edges = np.histogram(logs / np.log(10.0), bins=_HISTOGRAM_BINS)
    return float(10.0 ** edges[int(np.argmax(counts))])


def _peak(spectrum: Spectrum, logs: Floats) -> Candidates:
    edge = _histogram_peak(logs)
    return _window(spectrum, 0.95 * edge, 1.5 * edge)


def _peak_as_released(spectrum: Spectrum, logs: Floats) -> Candidates:
    edge = _histogram_peak(logs)
    return _window(spectrum, float(np.log10(0.95 * edge)), 1.5 * edge)


ESTIMATORS = {
    estimator.name: estimator
    for estimator in (
        Estimator("hill", 1, "float32", "the larger half of the eigenvalues", _tail_half),
        Estimator("ks", 1, "float32", "the tail with the smallest KS distance", _all),
        Estimator("peak", 1, "float64", "KS scan around the histogram's peak", _peak),
        Estimator(
            "peak_as_released",
            1,
            "float64",
            "the window of AlphaLoRA's released code, lower bound in log10 by mistake",
            _peak_as_released,
        ),
    )
}
