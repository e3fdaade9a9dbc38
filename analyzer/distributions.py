"""Is a tail a power law at all? Likelihood ratios against other distributions, by powerlaw.

The tail that an estimator chose is fitted by maximum likelihood as a power law and as each
alternative (Clauset, Shalizi and Newman, https://arxiv.org/abs/0706.1062; Vuong's test). The
p-values hold for independent draws. Eigenvalues repel each other, so read them as an order only.
"""

import warnings
from math import isfinite
from typing import Any, Literal

from pydantic import Field

from analyzer.errors import InvalidOption
from analyzer.outline import Record
from analyzer.spectrum import Spectrum
from analyzer.tails import Fit

ALTERNATIVES = ("lognormal", "exponential", "truncated_power_law")
SIGNIFICANT = 0.05

_RANGES = {"alpha": [None, None]}
"""powerlaw's own range, 0 to 3, would silently cut larger exponents, and take a truncated power law
that is steep by its cut-off alone for one without a fit."""

Favours = Literal["power_law", "alternative", "neither"]


class LikelihoodRatio(Record):
    """A tail as a power law against one alternative."""

    alternative: str
    ratio: float | None = Field(
        description="normalised log-likelihood ratio, positive for the power law; null where the "
        "alternative has no fit"
    )
    p_value: float | None = Field(description="for independent draws, so too small")
    favours: Favours = Field(description="which one, where the p-value is below 0.05")


def compare_distributions(spectrum: Spectrum, fit: Fit) -> tuple[LikelihoodRatio, ...]:
    """The tail of a fit against each alternative; empty where the fit failed.

    The ratio of the truncated power law is above zero by rounding at most, since the power law is
    a case of it.
    Raises InvalidOption where powerlaw is not installed.
    """
    if fit.xmin is None:
        return ()
    try:
        import powerlaw
    except ImportError as error:
        raise InvalidOption(
            "comparing distributions needs powerlaw; install it with "
            "`pip install 'tailora[distributions]'`"
        ) from error
    tail = spectrum.values[spectrum.values >= fit.xmin] / fit.xmin
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of trial points of the optimiser
        fitted = powerlaw.Fit(tail, xmin=1.0, parameter_ranges=_RANGES, verbose=False)
        return tuple(_ratio(fitted, name) for name in ALTERNATIVES)


def _ratio(fitted: Any, name: str) -> LikelihoodRatio:
    ratio, p_value = fitted.distribution_compare("power_law", name, normalized_ratio=True)
    if getattr(fitted, name).noise_flag or not (isfinite(ratio) and isfinite(p_value)):
        return LikelihoodRatio(alternative=name, ratio=None, p_value=None, favours="neither")
    better: Favours = "power_law" if ratio > 0 else "alternative"
    return LikelihoodRatio(
        alternative=name,
        ratio=float(ratio),
        p_value=float(p_value),
        favours=better if p_value < SIGNIFICANT else "neither",
    )
