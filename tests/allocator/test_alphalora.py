"""AlphaLoRA: the paper's shares soundly rounded, and the released rule reproduced."""

import math
import time

import numpy as np
import pytest

from allocator.alphalora import as_released
from allocator.errors import AllocatorError, InfeasibleBudget, InvalidRequest
from allocator.planner import plan
from tests.golden import llama2_block_means, number, released_allocations

CASES = released_allocations()
SOUND = [
    case
    for case in CASES
    if case["status"] == "ok" and all(0 < number(a) < math.inf for a in case["alphas"])
]
LLAMA2_LARGEST_REMAINDER = (
    1, 3, 4, 4, 4, 4, 3, 3, 3, 3, 3, 2, 3, 3, 3, 4, 5, 5, 7, 6, 8, 8, 8, 7, 8, 7, 6, 8, 7, 7, 8, 5,
)  # fmt: skip


def test_llama2():
    made = plan(llama2_block_means(), budget=160)
    assert made.counts == LLAMA2_LARGEST_REMAINDER


def test_there_are_cases():
    assert len(SOUND) == 29
    assert len(CASES) - len(SOUND) == 7


@pytest.mark.parametrize("case", SOUND, ids=lambda case: case["name"])
def test_released_rule(case):
    alphas = [number(alpha) for alpha in case["alphas"]]
    assert as_released(alphas, case["budget"], case["beta"]) == case["allocation"]


@pytest.mark.parametrize("case", [c for c in CASES if c not in SOUND], ids=lambda c: c["name"])
def test_released_rule_on_inputs_that_break_it(case):
    started = time.monotonic()
    with pytest.raises(InvalidRequest):
        as_released([number(alpha) for alpha in case["alphas"]], case["budget"], case["beta"])
    assert time.monotonic() - started < 1.0


def loop(alphas, total, beta):
    """The released repair as its authors describe it: one unit a step, on the raw powers."""
    powers = np.power(np.array(alphas), beta)
    counts = np.round(powers / powers.sum() * total).astype(int)
    while counts.sum() != total:
        if counts.sum() < total:
            counts[np.argmin(powers - counts)] += 1
        else:
            counts[np.argmax(powers - counts)] -= 1
    return counts.tolist()


def test_the_shortcut_is_the_loop():
    rng = np.random.default_rng(0)
    for _ in range(300):
        alphas = rng.uniform(1.1, 8.0, rng.integers(1, 40)).tolist()
        total, beta = int(rng.integers(0, 300)), float(rng.choice([0.0, 0.5, 2.5, 4.0]))
        assert as_released(alphas, total, beta) == loop(alphas, total, beta)


@pytest.mark.parametrize("case", SOUND, ids=lambda case: case["name"])
def test_plans_from_the_released_rule(case):
    """A plan never has a layer without experts; the error names the method that cannot."""
    alphas = [number(alpha) for alpha in case["alphas"]]
    options = {"budget": case["budget"], "parameters": {"beta": case["beta"]}}
    if case["any_below_one"]:
        with pytest.raises(InfeasibleBudget, match="alphalora|use a budget"):
            plan(alphas, method="alphalora_as_released", **options)
    else:
        made = plan(alphas, method="alphalora_as_released", **options)
        assert list(made.counts) == case["allocation"]
    if case["budget"] >= len(alphas):
        sound = plan(alphas, **options)
        assert min(sound.counts) >= 1
        assert sum(sound.counts) == case["budget"]


@pytest.mark.parametrize("alpha", [0.0, -1.0, math.nan, math.inf])
def test_alphas_that_no_method_takes(alpha):
    for method in ("alphalora", "alphalora_as_released"):
        with pytest.raises(AllocatorError, match="layer 1 is .*positive and finite"):
            plan([2.0, alpha, 3.0], budget=15, method=method)


@pytest.mark.parametrize("beta", [-0.1, math.nan, math.inf, 1001])
def test_betas_that_are_refused(beta):
    with pytest.raises(InvalidRequest, match="beta"):
        plan([2.0, 3.0], budget=15, parameters={"beta": beta})
    with pytest.raises(InvalidRequest, match="beta"):
        as_released([2.0, 3.0], 15, beta)


def test_a_steep_beta_gives_all_that_is_free_to_the_largest():
    assert plan([2.0, 3.0, 2.5], budget=30, parameters={"beta": 1000.0}).counts == (1, 28, 1)
