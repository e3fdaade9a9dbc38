"""From the budget that was asked for to a total of experts over layers."""

from bisect import bisect_right
from collections.abc import Callable
from dataclasses import dataclass
from math import isfinite

from allocator.errors import InfeasibleBudget, InvalidRequest
from allocator.methods import Method
from allocator.options import PlanOptions


@dataclass(frozen=True, slots=True)
class Cost:
    """Trainable parameters: of the plan with a given total, and the least that one more adds."""

    parameters: Callable[[int], int]
    cheapest: float


MAX_EXPERTS = 100_000
"""Largest total over layers; far above any mixture, it keeps a mistyped budget from running for
hours."""


def total_experts(
    options: PlanOptions, method: Method, layers: int, own: int | None, cost: Cost | None
) -> int:
    """Experts per layer, summed over layers.

    `own` is the total that the method brings, if any; `cost` is None where shapes are not known.
    Raises InvalidRequest or InfeasibleBudget.
    """
    budget = options.budget
    if budget is None:
        if own is None:
            raise InvalidRequest(
                f"the budget is missing; for example --budget {5 * layers} "
                f"gives a mean of 5 experts over {layers} layers"
            )
        return own
    if not isfinite(budget):
        raise InvalidRequest(f"the budget is {budget}; use a whole number of experts")
    if options.budget_kind == "parameters":
        check_parameters(method, cost)
        assert cost is not None
        return _largest_total(int(budget), layers, options, cost)
    total = budget * layers if options.budget_kind == "mean" else budget
    if abs(total) > MAX_EXPERTS:
        raise InfeasibleBudget(
            f"a budget of {budget:g} is too large; use {layers * options.min_experts} to "
            f"{MAX_EXPERTS} experts over all layers"
        )
    whole = round(total)
    if abs(total - whole) > 1e-9 * max(1.0, abs(total)):
        what = f"a mean of {budget:g} over {layers} layers comes to"
        raise InvalidRequest(
            f"{what if options.budget_kind == 'mean' else 'the budget is'} {total:g} experts, "
            f"which is not whole; use {int(total)} or {int(total) + 1} experts in all"
        )
    return whole


def check_parameters(method: Method, cost: Cost | None) -> None:
    """Raise InvalidRequest where a number of parameters cannot be a budget."""
    if not method.any_budget:
        raise InvalidRequest(
            f"method {method.name} cannot meet a number of parameters; use --budget-kind experts"
        )
    if cost is None:
        raise InvalidRequest(
            "a budget in parameters needs the shapes of a model; plan from a model, "
            "or use --budget-kind experts"
        )


def _largest_total(parameters: int, layers: int, options: PlanOptions, cost: Cost) -> int:
    """The largest total whose plan has at most that many trainable parameters.

    Routers and layers of different sizes make the number of parameters leap, so every total is
    tried, downwards from the most that experts without routers would allow. Under webster no
    count ever falls, so bisection finds it.
    """
    least = layers * options.min_experts
    most = MAX_EXPERTS if options.max_experts is None else layers * options.max_experts
    highest = min(most, MAX_EXPERTS, int(parameters / cost.cheapest) + 1)
    smallest = cost.parameters(least)
    if smallest > parameters:
        raise InfeasibleBudget(
            f"{parameters} trainable parameters are too few: the smallest plan ({least} experts) "
            f"has {smallest}; raise the budget or lower --rank"
        )
    totals = range(least, highest + 1)
    if options.rounding == "webster":
        return totals[bisect_right(totals, parameters, key=cost.parameters) - 1]
    return next(total for total in reversed(totals) if cost.parameters(total) <= parameters)
