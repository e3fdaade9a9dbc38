"""Means over seeds, paired differences, and p-values corrected for several arms. No torch."""

from collections.abc import Sequence

import numpy as np
from pydantic import Field

from analyzer.outline import Record

LEVEL = 0.95
"""Of every interval; a corrected p-value up to one less this is a difference."""

FEWEST_SEEDS = 3
"""With fewer, nothing is said of a difference."""

_NOISE = 1e-9
"""A spread below this share of the values is rounding."""


class Spread(Record):
    """A mean over seeds with its 95 % interval by Student's t; null where seeds are too few."""

    runs: int
    mean: float
    standard_deviation: float | None = Field(description="of one run; divided by n − 1")
    low: float | None
    high: float | None


class Paired(Spread):
    """The same of differences between two arms seed by seed, with a paired t-test."""

    p: float | None = Field(
        description="two-sided, against no difference; null where the differences do not scatter"
    )


def spread(values: Sequence[float]) -> Spread:
    """Of at least one value."""
    mean = float(np.mean(values))
    if len(values) < 2:
        return Spread(runs=len(values), mean=mean, standard_deviation=None, low=None, high=None)
    deviation = float(np.std(values, ddof=1))
    low = high = mean
    if deviation > _NOISE * float(np.max(np.abs(values))):
        from scipy import stats  # a second to import

        found = stats.ttest_1samp(values, 0.0).confidence_interval(LEVEL)
        low, high = float(found.low), float(found.high)
    return Spread(runs=len(values), mean=mean, standard_deviation=deviation, low=low, high=high)


def paired(values: Sequence[float], reference: Sequence[float]) -> Paired:
    """Values less reference, pair by pair.

    Differences of exactly 0 throughout have p = 1. Ones that are all alike but not 0, as a few
    held-out samples give, have none: their scatter is below what was measured.
    """
    differences = np.subtract(values, reference).tolist()
    found = spread(differences)
    if found.standard_deviation is None:
        return Paired(**found.model_dump(), p=None)
    rounding = _NOISE * float(np.max(np.abs((*values, *reference))))
    if found.standard_deviation > rounding:
        from scipy import stats

        p = float(stats.ttest_rel(values, reference).pvalue)
        return Paired(**found.model_dump(), p=p)
    alike = abs(found.mean) <= rounding
    mean = 0.0 if alike else found.mean
    return Paired(
        runs=found.runs, mean=mean, standard_deviation=0.0, low=mean, high=mean,
        p=1.0 if alike else None,
    )  # fmt: skip


def holm(p_values: Sequence[float]) -> list[float]:
    """Holm's step-down correction: the chance of any false finding among all stays the level's."""
    order = sorted(range(len(p_values)), key=lambda index: p_values[index])
    corrected, highest = [0.0] * len(p_values), 0.0
    for rank, index in enumerate(order):
        highest = max(highest, min(1.0, (len(p_values) - rank) * p_values[index]))
        corrected[index] = highest
    return corrected
