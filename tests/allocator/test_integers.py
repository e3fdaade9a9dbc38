"""The invariants of every integer rule, over random and adversarial weights."""

import math
from decimal import Decimal
from fractions import Fraction
from itertools import pairwise

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from allocator.alphalora import exponential_allocation, exponential_weights
from allocator.errors import InfeasibleBudget, InvalidRequest
from allocator.integers import Bounds, allocate

ALPHAS = st.lists(st.floats(1.001, 50.0), min_size=1, max_size=40)
TIED = st.lists(st.sampled_from([1.5, 2.0, 2.0000001, 3.0, 4.5]), min_size=1, max_size=40)
RULES = st.sampled_from(["largest_remainder", "webster"])


@st.composite
def requests(draw):
    alphas = draw(st.one_of(ALPHAS, TIED))
    beta = draw(st.sampled_from([0.0, 0.5, 1.0, 2.5, 5.0]))
    minimum = draw(st.integers(1, 3))
    maximum = draw(st.one_of(st.none(), st.integers(minimum, 12)))
    least = minimum * len(alphas)
    most = 12 * len(alphas) if maximum is None else maximum * len(alphas)
    total = draw(st.integers(least, max(least, most)))
    return alphas, beta, total, Bounds(minimum, maximum), draw(RULES)


def counts_of(alphas, beta, total, bounds, rounding) -> tuple[int, ...]:
    return exponential_allocation(alphas, total, beta=beta, bounds=bounds, rounding=rounding).counts


@settings(max_examples=400, deadline=None)
@given(requests())
def test_invariants(request):
    alphas, beta, total, bounds, _ = request
    counts = counts_of(*request)
    assert sum(counts) == total
    assert min(counts) >= bounds.minimum
    assert bounds.maximum is None or max(counts) <= bounds.maximum
    ranked = sorted(zip(alphas, counts, strict=True))
    for (alpha, count), (larger, other) in pairwise(ranked):
        if alpha < larger:
            assert count <= other, "larger alpha never gets fewer"
        else:
            assert abs(count - other) <= 1, "equal alphas differ by one at most"
    assert counts_of(*request) == counts
    if beta == 0:
        assert max(counts) - min(counts) <= 1


@settings(max_examples=150, deadline=None)
@given(requests(), st.floats(0.01, 100.0))
def test_scaling_all_alphas_changes_nothing(request, factor):
    alphas, *rest = request
    assert counts_of([alpha * factor for alpha in alphas], *rest) == counts_of(alphas, *rest)


@settings(max_examples=150, deadline=None)
@given(requests(), st.randoms())
def test_reordering_layers_reorders_the_result(request, random):
    alphas, *rest = request
    assume(len(set(alphas)) == len(alphas))
    counts = dict(zip(alphas, counts_of(alphas, *rest), strict=True))
    random.shuffle(alphas)
    assert counts_of(alphas, *rest) == tuple(counts[alpha] for alpha in alphas)


@settings(max_examples=60, deadline=None)
@given(st.one_of(ALPHAS, TIED), st.sampled_from([0.0, 1.0, 2.5]))
def test_webster_never_takes_an_expert_away(alphas, beta):
    weights = exponential_weights(alphas, beta)
    layers, before = len(alphas), None
    for total in range(layers, 10 * layers + 1):
        counts = allocate(weights, total, bounds=Bounds(), rounding="webster").counts
        if before is not None:
            assert all(now >= then for now, then in zip(counts, before, strict=True))
        before = counts


@settings(max_examples=150, deadline=None)
@given(requests())
def test_largest_remainder_rounds_each_share_up_or_down(request):
    """The quota rule, with shares computed another way: layers below a bound are fixed in turn."""
    alphas, beta, total, bounds, _ = request
    assume(bounds.maximum is None)
    powers = [Fraction(alpha) ** 2 if beta == 2 else Fraction(alpha**beta) for alpha in alphas]
    fixed: set[int] = set()
    while True:
        free = [i for i in range(len(alphas)) if i not in fixed]
        rest = total - bounds.minimum * len(fixed)
        whole = sum(powers[i] for i in free)
        low = {i for i in free if rest * powers[i] < bounds.minimum * whole}
        if not low:
            break
        fixed |= low
    weights = exponential_weights(alphas, beta)
    found = allocate(weights, total, bounds=bounds)
    for i, (count, share) in enumerate(zip(found.counts, found.shares, strict=True)):
        expected = bounds.minimum if i in fixed else float(rest * powers[i] / whole)
        assert share == pytest.approx(expected, rel=1e-9)
        assert math.floor(expected - 1e-6) <= count <= math.ceil(expected + 1e-6)


def test_quotas_on_paper():
    """Weights 6 : 3 : 1 at 7: shares 4.2, 2.1, 0.7; the last is raised to 1, the rest 4 and 2."""
    found = allocate([Decimal(6), Decimal(3), Decimal(1)], 7, bounds=Bounds())
    assert found.counts == (4, 2, 1)
    assert found.shares == (4.0, 2.0, 1.0)


def test_webster_on_paper():
    """Weights 6 : 3 : 1 at 9 from 1 1 1: divisors 1.5, 2.5, … award 4 2 1, 1.7, 1.2, 1.3 …"""
    found = allocate([Decimal(6), Decimal(3), Decimal(1)], 9, bounds=Bounds(), rounding="webster")
    assert found.counts == (5, 3, 1)


def test_ties_go_to_the_stated_order():
    ones = [Decimal(1)] * 4
    assert allocate(ones, 6, bounds=Bounds()).counts == (2, 2, 1, 1)
    served = allocate(ones, 6, bounds=Bounds(), preference=[3, 1, 0, 2]).counts
    assert served == (1, 2, 1, 2)
    webster = allocate(ones, 6, bounds=Bounds(), rounding="webster", preference=[3, 1, 0, 2])
    assert webster.counts == served


def test_capped_layers_pass_their_share_on():
    found = allocate([Decimal(100), Decimal(1), Decimal(1)], 12, bounds=Bounds(1, 6))
    assert found.counts == (6, 3, 3)


@pytest.mark.parametrize(("total", "limits"), [(2, (1, None)), (13, (1, 4)), (5, (2, 4))])
def test_infeasible_totals_name_the_range(total, limits):
    bounds = Bounds(*limits)
    low, high = 3 * limits[0], None if limits[1] is None else 3 * limits[1]
    feasible = f"{low} or more" if high is None else f"use {low} to {high}"
    with pytest.raises(InfeasibleBudget, match=feasible):
        allocate([Decimal(1)] * 3, total, bounds=bounds)


def test_impossible_bounds_and_rules():
    with pytest.raises(InvalidRequest, match="at least 1"):
        Bounds(0)
    with pytest.raises(InvalidRequest, match="below min-experts"):
        Bounds(3, 2)
    with pytest.raises(InvalidRequest, match="use one of largest_remainder, webster"):
        allocate([Decimal(1)], 1, bounds=Bounds(), rounding="up")
