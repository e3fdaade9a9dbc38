"""From the budget that was asked for to a total of experts over layers."""

from collections.abc import Callable
from dataclasses import dataclass
from math import isfinite
from typing import Any

from allocator.errors import InfeasibleBudget, InvalidRequest
from allocator.integers import MAX_EXPERTS
from allocator.methods import Method
from allocator.options import PlanOptions


@dataclass(frozen=True, slots=True)
class Cost:
    """Trainable parameters: of the plan with a given total, and the least that one more adds."""

    parameters: Callable[[int], int]
    cheapest: float


def total_experts(
    options: PlanOptions,
    method: Method,
    parameters: Any,
    layers: int,
    cost: Cost | None,
) -> int:
    """Experts per layer, summed over layers.

    `cost` is None where shapes are not known. Raises InvalidRequest or InfeasibleBudget.
    """
    if options.budget is None:
        if method.own_total is None:
            raise InvalidRequest(
                f"the budget is missing; for example --budget {5 * layers} "
                f"gives a mean of 5 experts over {layers} layers"
            )
        return method.own_total(layers, parameters)
    budget = options.budget
    if not isfinite(budget):
        raise InvalidRequest(f"the budget is {budget}; use a whole number of experts")
    if options.budget_kind == "mean":
        return _whole(budget * layers, f"a mean of {budget:g} over {layers} layers")
    whole = _whole(budget, f"a budget of {budget:g}")
    if options.budget_kind == "experts":
        return whole
    if not method.any_budget:
        raise InvalidRequest(
            f"method {method.name} cannot meet a number of parameters; use --budget-kind experts"
        )
    if cost is None:
        raise InvalidRequest(
            "a budget in parameters needs the shapes of a model; plan from a model, "
            "or use --budget-kind experts"
        )
    return _largest_total(whole, layers, options, cost)


def _whole(value: float, what: str) -> int:
    nearest = round(value)
    if abs(value - nearest) > 1e-9 * max(1.0, abs(value)):
        raise InvalidRequest(
            f"{what} comes to {value:g} experts, which is not whole; use {int(value)} or "
            f"{int(value) + 1} experts in all"
        )
    return nearest


def _largest_total(parameters: int, layers: int, options: PlanOptions, cost: Cost) -> int:
    """The largest total whose plan has at most that many trainable parameters.

    Routers and layers of different sizes make the number of parameters leap, so every total is
    tried, downwards from the most that experts without routers would allow.
    """
    least = layers * options.min_experts
    most = MAX_EXPERTS if options.max_experts is None else layers * options.max_experts
    highest = min(most, MAX_EXPERTS, int(parameters / cost.cheapest) + 1)
    for total in range(highest, least - 1, -1):
        if cost.parameters(total) <= parameters:
            return total
    raise InfeasibleBudget(
        f"{parameters} trainable parameters are too few: the smallest plan ({least} experts) has "
        f"{cost.parameters(least)}; raise the budget or lower --rank"
    )
