"""Divide a whole number of experts by weights: exact sums, bounds, and the same answer everywhere.

Weights are decimals of 50 digits, so that no platform's `pow` can change a count. Shares are then
rounded to a grid of 1e-10: quantities that are equal on paper become equal in the computer, and
ties are broken by a stated order instead of by rounding noise.
"""

import heapq
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from decimal import MAX_EMAX, MIN_EMIN, Context, Decimal, localcontext
from typing import Literal

from allocator.errors import InfeasibleBudget, InvalidRequest

Rounding = Literal["largest_remainder", "webster"]

EXACT = Context(prec=50, Emax=MAX_EMAX, Emin=MIN_EMIN)
"""The arithmetic of all weights and shares."""

_GRID = 10**10


@dataclass(frozen=True, slots=True)
class Bounds:
    """Least and most experts of one layer (or module)."""

    minimum: int = 1
    maximum: int | None = None

    def __post_init__(self) -> None:
        """Refuse bounds that no layer can meet."""
        if self.minimum < 1:
            raise InvalidRequest(f"min-experts is {self.minimum}; a layer needs at least 1 expert")
        if self.maximum is not None and self.maximum < self.minimum:
            raise InvalidRequest(
                f"max-experts {self.maximum} is below min-experts {self.minimum}; raise it"
            )

    def check(self, total: int, layers: int) -> None:
        """Raise InfeasibleBudget unless counts within these bounds can sum to `total`."""
        low = layers * self.minimum
        high = None if self.maximum is None else layers * self.maximum
        if total < low or (high is not None and total > high):
            limits = f"at least {self.minimum} each"
            limits += "" if self.maximum is None else f" and at most {self.maximum}"
            raise InfeasibleBudget(
                f"{total} experts cannot be divided over {layers} layers with {limits}; "
                + (f"use a budget of {low} or more" if high is None else f"use {low} to {high}")
            )


@dataclass(frozen=True, slots=True)
class Allocation:
    """Whole counts and the exact shares that they round.

    `ranks` and `top_ks` are those of each slot, where the method has a say in them.
    """

    counts: tuple[int, ...]
    shares: tuple[float, ...]
    ranks: tuple[int, ...] | None = None
    top_ks: tuple[int, ...] | None = None


def allocate(
    weights: Sequence[Decimal],
    total: int,
    *,
    bounds: Bounds,
    rounding: Rounding = "largest_remainder",
    preference: Sequence[int] | None = None,
) -> Allocation:
    """Counts in proportion to positive weights, within bounds, that sum to `total`.

    `preference` lists the indices from first to last to be served in a tie; by default larger
    weights first, then lower indices. Raises InfeasibleBudget or InvalidRequest.
    """
    check_rounding(rounding)
    bounds.check(total, len(weights))
    order = preference or sorted(range(len(weights)), key=lambda i: (-weights[i], i))
    rank = [0] * len(weights)
    for position, index in enumerate(order):
        rank[index] = position
    with localcontext(EXACT):
        shares = bounded_shares(weights, total, bounds)
        counts = _RULES[rounding](weights, shares, total, bounds, rank)
    return Allocation(tuple(counts), tuple(float(share) for share in shares))


def check_rounding(rounding: str) -> None:
    """Raise InvalidRequest unless the rounding exists."""
    if rounding not in _RULES:
        raise InvalidRequest(f"rounding {rounding} is unknown; use one of {', '.join(_RULES)}")


def bounded_shares(weights: Sequence[Decimal], total: int, bounds: Bounds) -> list[Decimal]:
    """Shares clip(s · w, minimum, maximum) for the scale s at which they sum to `total`.

    That is what fixing layers below the minimum and re-sharing the rest ends in. Found exactly:
    the sum is linear between the scales at which a layer meets a bound.
    """
    low = Decimal(bounds.minimum)
    high = Decimal(total if bounds.maximum is None else bounds.maximum)

    def clipped(scale: Decimal) -> list[Decimal]:
        return [min(max(scale * weight, low), high) for weight in weights]

    scales = sorted({bound / weight for weight in weights for bound in (low, high)})
    below, above = 0, len(scales) - 1
    if sum(clipped(scales[below])) >= total:
        return clipped(scales[below])
    while above - below > 1:
        middle = (below + above) // 2
        if sum(clipped(scales[middle])) < total:
            below = middle
        else:
            above = middle
    bottom, top = clipped(scales[below]), clipped(scales[above])
    reached = sum(bottom, Decimal(0))
    span = sum(top, Decimal(0)) - reached
    way = (total - reached) / span if span else Decimal(0)
    return [start + way * (end - start) for start, end in zip(bottom, top, strict=True)]


def _largest_remainder(
    weights: Sequence[Decimal],
    shares: Sequence[Decimal],
    total: int,
    bounds: Bounds,
    rank: Sequence[int],
) -> list[int]:
    units = [int((share * _GRID).to_integral_value()) for share in shares]
    counts = [unit // _GRID for unit in units]
    first = sorted(range(len(units)), key=lambda i: (-(units[i] % _GRID), rank[i]))
    for index in first[: total - sum(counts)]:
        counts[index] += 1
    return counts


def _webster(
    weights: Sequence[Decimal],
    shares: Sequence[Decimal],
    total: int,
    bounds: Bounds,
    rank: Sequence[int],
) -> list[int]:
    """One expert after the other to the largest w / (n + ½); more budget takes none away."""
    logs = [weight.ln() for weight in weights]

    def turn(index: int, count: int) -> tuple[int, int, int]:
        claim = logs[index] - (Decimal(count) + Decimal("0.5")).ln()
        return -int((claim * _GRID).to_integral_value()), rank[index], index

    counts = [bounds.minimum] * len(weights)
    queue = [turn(index, bounds.minimum) for index in range(len(weights))]
    heapq.heapify(queue)
    for _ in range(total - sum(counts)):
        index = heapq.heappop(queue)[2]
        counts[index] += 1
        if bounds.maximum is None or counts[index] < bounds.maximum:
            heapq.heappush(queue, turn(index, counts[index]))
    return counts


_RULES: dict[
    str,
    Callable[[Sequence[Decimal], Sequence[Decimal], int, Bounds, Sequence[int]], list[int]],
] = {"largest_remainder": _largest_remainder, "webster": _webster}
