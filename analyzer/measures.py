"""Scalar measures of a spectrum, with the conventions of WeightWatcher."""

import numpy as np
from pydantic import Field

from analyzer.outline import Record
from analyzer.spectrum import Spectrum


class Measures(Record):
    """What a spectrum says besides its exponent. λ is never divided by a dimension."""

    spectral_norm: float = Field(description="λ_max = σ_max², squared as in WeightWatcher")
    frobenius_norm: float = Field(description="Σλ = ‖W‖_F², squared as in WeightWatcher")
    stable_rank: float = Field(description="Σλ / λ_max")
    entropy: float = Field(
        description="−Σ p ln p / ln n with p = λ/Σλ; WeightWatcher's, at full rank"
    )
    rank: int = Field(description="eigenvalues above n · eps · λ_max")
    log_alpha_norm: float | None = Field(description="log10 Σ λ^alpha; null without an alpha")
    marchenko_pastur_edge: float = Field(
        description="largest eigenvalue expected of a random matrix of equal shape and norm"
    )
    above_edge: int = Field(description="eigenvalues above that edge")


def measure(spectrum: Spectrum, shape: tuple[int, int], alpha: float | None) -> Measures | None:
    """The measures of a spectrum of a matrix of that shape; None where it is zero or not finite."""
    values = spectrum.values
    if spectrum.status != "ok" or values.size == 0 or values[-1] == 0.0:
        return None
    total = float(values.sum())
    rank = values.size - spectrum.nulls
    edge = total / values.size * (1.0 + np.sqrt(min(shape) / max(shape))) ** 2
    return Measures(
        spectral_norm=float(values[-1]),
        frobenius_norm=total,
        stable_rank=total / float(values[-1]),
        entropy=_entropy(values / total),
        rank=rank,
        log_alpha_norm=None if alpha is None else _log_alpha_norm(values, alpha),
        marchenko_pastur_edge=float(edge),
        above_edge=int(np.count_nonzero(values > edge)),
    )


def _entropy(shares: np.ndarray) -> float:
    if shares.size < 2:
        return 0.0
    positive = shares[shares > 0.0]
    return float(-(positive * np.log(positive)).sum() / np.log(shares.size))


def _log_alpha_norm(values: np.ndarray, alpha: float) -> float:
    """By log-sum-exp, since alpha can be 30 and λ far from 1."""
    exponents = alpha * np.log(values[values > 0.0])
    largest = exponents.max()
    return float((largest + np.log(np.exp(exponents - largest).sum())) / np.log(10.0))
