"""MoLA's published shapes and figures, and their symmetries at any size."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from allocator.errors import InfeasibleBudget, InvalidRequest
from allocator.mola import SHAPES, parse_shape, shape_weights
from allocator.plan import PlanModule
from allocator.planner import plan

LLAMA2 = {"q": (4096, 4096), "k": (4096, 4096), "v": (4096, 4096), "o": (4096, 4096),
          "gate": (11008, 4096), "up": (11008, 4096), "down": (4096, 11008)}  # fmt: skip
PUBLISHED = {
    "triangle": "8642", "inverted_triangle": "2468", "hourglass": "8228", "rectangle": "5555",
    "diamond": "2882",
}  # fmt: skip


def mola(layers: int, shape: str, **options) -> tuple[int, ...]:
    return plan([1.0] * layers, method="mola", parameters={"shape": shape}, **options).counts


def by_quarters(digits: str) -> tuple[int, ...]:
    return tuple(int(digit) for digit in digits for _ in range(8))


@pytest.mark.parametrize("shape", PUBLISHED)
def test_published_shapes(shape):
    expected = by_quarters(PUBLISHED[shape])
    assert sum(expected) == 160
    for rounding in ("largest_remainder", "webster"):
        assert mola(32, shape, budget=160, rounding=rounding) == expected
    assert mola(32, shape) == mola(32, PUBLISHED[shape]) == expected


@pytest.mark.parametrize("digits", ["6532", "2356", "6226", "4444", "2662"])
def test_small_variants(digits):
    assert mola(32, digits, budget=128) == by_quarters(digits)


def test_numbers_above_nine():
    assert mola(32, "10,2,2,2") == (10,) * 8 + (2,) * 24


@pytest.mark.parametrize(
    ("digits", "parameters"), [("5555", 105_635_840), ("8888", 169_017_344), ("4444", 84_508_672)]
)
def test_published_parameter_counts(digits, parameters):
    total = sum(
        PlanModule(
            name=name, shape=shape, experts=count, top_k=2, rank=8, lora_alpha=16.0
        ).trainable_parameters
        for count in mola(32, digits)
        for name, shape in LLAMA2.items()
    )
    assert total == parameters


@settings(max_examples=200, deadline=None)
@given(st.integers(1, 60), st.data())
def test_turning_the_shape_turns_the_plan(layers, data):
    budget = data.draw(st.integers(layers, 10 * layers))
    up = mola(layers, "inverted_triangle", budget=budget)
    assert mola(layers, "triangle", budget=budget) == up[::-1]
    assert sum(up) == budget
    assert list(up) == sorted(up)


@settings(max_examples=100, deadline=None)
@given(st.integers(1, 15), st.integers(1, 9), st.sampled_from(["hourglass", "diamond"]))
def test_symmetric_shapes_stay_symmetric(quarter, mean, shape):
    layers = 4 * quarter
    counts = mola(layers, shape, budget=layers * mean)
    assert counts == counts[::-1]


@given(st.integers(1, 200), st.sampled_from([*SHAPES, "2468", "123", "7", "10,2,2,2,9"]))
def test_weights_are_the_digits_spread_over_the_depth(layers, shape):
    digits = parse_shape(shape)
    weights = shape_weights(digits, layers)
    assert sum(weights) * len(digits) == layers * sum(digits)
    if layers % len(digits) == 0:
        assert weights == [digits[layer * len(digits) // layers] for layer in range(layers)]


def test_six_layers():
    """Four digits over six layers: the second layer lies half in each of two quarters."""
    assert mola(6, "8642") == (8, 7, 6, 4, 3, 2)


@pytest.mark.parametrize("shape", ["", "pyramid", "2460", "1,0,3", "2 4", "²4", "-1,2", "1,,2"])
def test_shapes_that_are_refused(shape):
    with pytest.raises(InvalidRequest, match="shape"):
        mola(32, shape)


def test_a_shape_that_does_not_sum_to_a_whole_number():
    with pytest.raises(InvalidRequest, match="not whole; give a --budget"):
        mola(3, "25")
    assert mola(3, "25", budget=10) == (2, 3, 5)


def test_a_budget_below_the_layers():
    with pytest.raises(InfeasibleBudget, match="use a budget of 32 or more"):
        mola(32, "2468", budget=31)
