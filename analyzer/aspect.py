"""Correct alpha for a matrix's shape.

A wide random matrix has a shorter tail than a square one before any training, so alphas of
different shapes compare badly. `marchenko_pastur` divides Hill's alpha by the value that it takes
on the Marchenko-Pastur law (i.i.d. entries) of the same aspect ratio. `subsample` measures windows
of one ratio instead of the matrix (`sampling.Windows`), so its alphas need nothing afterwards.
"""

from functools import lru_cache
from math import cos, log, pi, sin, sqrt
from typing import Literal

from analyzer.errors import InvalidOption
from analyzer.tails import Fit

Aspect = Literal["none", "marchenko_pastur", "subsample"]
ASPECTS: tuple[Aspect, ...] = ("none", "marchenko_pastur", "subsample")


def check_aspect(aspect: str, estimator: str) -> None:
    """Raise InvalidOption unless the correction exists and applies to the estimator."""
    if aspect not in ASPECTS:
        raise InvalidOption(f"aspect {aspect} is unknown; use one of {', '.join(ASPECTS)}")
    if aspect == "marchenko_pastur" and estimator != "hill":
        raise InvalidOption(
            f"aspect marchenko_pastur is defined for hill only, not for {estimator}: a random "
            "matrix has no power law for it to find; use --estimator hill, or --aspect subsample"
        )


def corrected(fit: Fit, shape: tuple[int, int], aspect: Aspect) -> Fit:
    """The fit with alpha and its error divided by the reference value of the shape."""
    if fit.alpha is None or fit.nominal_standard_error is None:
        return fit
    reference = reference_alpha(shape, aspect)
    if reference == 1.0:
        return fit
    return fit.model_copy(
        update={
            "alpha": fit.alpha / reference,
            "nominal_standard_error": fit.nominal_standard_error / reference,
        }
    )


def reference_alpha(shape: tuple[int, int], aspect: Aspect) -> float:
    """What an alpha of that shape is divided by: 1 unless the aspect is marchenko_pastur."""
    return marchenko_pastur_hill(max(shape) / min(shape)) if aspect == "marchenko_pastur" else 1.0


@lru_cache(maxsize=4096)
def marchenko_pastur_hill(ratio: float) -> float:
    """Hill's alpha (larger half) on the Marchenko-Pastur law of aspect ratio Q = long/short ≥ 1.

    With λ = 1 + y + 2√y cos θ, y = 1/Q, the law's density is (2/π) sin²θ / λ on 0 < θ < π, which
    is smooth; the median and the mean of ln(λ/median) above it come from quadrature.
    """
    from scipy.integrate import quad
    from scipy.optimize import brentq

    y = 1.0 / ratio

    def eigenvalue(theta: float) -> float:
        return 1.0 + y + 2.0 * sqrt(y) * cos(theta)

    def density(theta: float) -> float:
        if theta >= pi:
            return 2.0 / pi if y == 1.0 else 0.0
        return 2.0 / pi * sin(theta) ** 2 / eigenvalue(theta)

    def upper_mass(theta: float) -> float:
        return float(quad(density, 0.0, theta, epsabs=1e-13)[0])

    middle = float(brentq(lambda theta: upper_mass(theta) - 0.5, 1e-9, pi, xtol=1e-13))
    median = eigenvalue(middle)
    log_excess = quad(
        lambda theta: density(theta) * log(eigenvalue(theta) / median), 0.0, middle, epsabs=1e-13
    )[0]
    return 1.0 + 0.5 / float(log_excess)
