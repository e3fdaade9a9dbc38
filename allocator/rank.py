"""Rank correlation of counts."""

from collections.abc import Sequence


def kendall_tau(one: Sequence[int], other: Sequence[int]) -> float | None:
    """Kendall's tau-b; None where one of the two is constant."""
    from scipy.stats import kendalltau

    if len(set(one)) < 2 or len(set(other)) < 2:
        return None
    return round(float(kendalltau(_ranks(one), _ranks(other)).statistic), 12)


def _ranks(counts: Sequence[int]) -> list[int]:
    """Numbers in the same order that numpy can hold, however large the counts are."""
    rank = {count: place for place, count in enumerate(sorted(set(counts)))}
    return [rank[count] for count in counts]
