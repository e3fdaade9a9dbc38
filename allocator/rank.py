"""Rank correlation of counts."""

from collections.abc import Sequence


def kendall_tau(one: Sequence[int], other: Sequence[int]) -> float | None:
    """Kendall's tau-b; None where one of the two is constant."""
    from scipy.stats import kendalltau

    if len(set(one)) < 2 or len(set(other)) < 2:
        return None
    return round(float(kendalltau(one, other).statistic), 12)
