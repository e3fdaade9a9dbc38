"""AlphaLoRA (https://arxiv.org/abs/2410.10054): the less trained a layer looks, the more experts.

A layer's share of the budget is proportional to alpha^beta.
"""

from collections.abc import Sequence
from decimal import Decimal, localcontext
from functools import lru_cache
from math import isfinite

import numpy as np

from allocator.errors import InvalidRequest
from allocator.integers import EXACT, Allocation, Bounds, Rounding, allocate

MAX_BETA = 1000.0


def exponential_weights(alphas: Sequence[float], beta: float) -> list[Decimal]:
    """(alpha / largest alpha)^beta for each alpha, to 50 digits.

    Raises InvalidRequest for an alpha that is not positive and finite, or a beta outside 0..1000.
    """
    check_alphas(alphas, beta)
    return list(_weights(tuple(alphas), beta))


@lru_cache(maxsize=64)
def _weights(alphas: tuple[float, ...], beta: float) -> tuple[Decimal, ...]:
    """Kept, since one model is planned with many budgets, and digits take milliseconds."""
    with localcontext(EXACT):
        logs = [Decimal(alpha).ln() for alpha in alphas]
        largest = max(logs)
        return tuple((Decimal(beta) * (log - largest)).exp() for log in logs)


def exponential_allocation(
    alphas: Sequence[float],
    total: int,
    *,
    beta: float = 2.5,
    bounds: Bounds | None = None,
    rounding: Rounding = "largest_remainder",
) -> Allocation:
    """Counts in proportion to alpha^beta that sum to `total`; ties go to the larger alpha.

    Raises InvalidRequest or InfeasibleBudget.
    """
    return allocate(
        exponential_weights(alphas, beta),
        total,
        bounds=bounds or Bounds(),
        rounding=rounding,
        preference=sorted(range(len(alphas)), key=lambda layer: (-alphas[layer], layer)),
    )


def as_released(alphas: Sequence[float], total: int, beta: float) -> list[int]:
    """The counts of AlphaLoRA's released code (commit 41cb6e2), with all its consequences.

    Shares are rounded half to even; then the whole difference to the total is put on one layer:
    a shortfall on the layer with the smallest alpha^beta − count, a surplus on that with the
    largest. Counts can be zero or negative. Raises InvalidRequest for the inputs on which that
    code fails, hangs or overflows.
    """
    check_alphas(alphas, beta)
    if type(total) is not int or not 0 <= total <= 2**31:
        raise InvalidRequest(f"the released rule needs a whole budget of at least 0, not {total}")
    powers = np.power(np.asarray(alphas, dtype=np.float64), beta)
    if not (np.isfinite(powers).all() and np.isfinite(powers.sum()) and powers.sum() > 0):
        raise InvalidRequest(f"alpha^{beta} leaves the range of floating point; use a smaller beta")
    counts = np.round(powers / powers.sum() * total).astype(np.int64)
    difference = total - int(counts.sum())
    # Each step makes the chosen layer more extreme, so every step chooses it again.
    chosen = np.argmin(powers - counts) if difference > 0 else np.argmax(powers - counts)
    counts[chosen] += difference
    return [int(count) for count in counts]


def check_alphas(alphas: Sequence[float], beta: float) -> None:
    """Raise InvalidRequest unless alphas are positive and finite and beta is within 0..1000."""
    if not alphas:
        raise InvalidRequest("there are no alphas to allocate by; the list is empty")
    for layer, alpha in enumerate(alphas):
        if not (isfinite(alpha) and alpha > 0):
            raise InvalidRequest(
                f"the alpha of layer {layer} is {alpha}; every alpha must be positive and finite"
            )
    if not (isfinite(beta) and 0 <= beta <= MAX_BETA):
        raise InvalidRequest(f"beta is {beta}; use a number from 0 to {MAX_BETA:g}")
