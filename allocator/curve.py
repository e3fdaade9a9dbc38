"""The counts at many budgets in one call."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any, Literal

from pydantic import Field

from allocator.budget import MAX_EXPERTS
from allocator.errors import InvalidRequest
from allocator.methods import method_named
from allocator.options import options_from
from allocator.request import PlanRequest
from allocator.subject import Given
from analyzer.outline import Record


class BudgetCurve(Record):
    """The counts at several budgets, by the divisor method, which never takes an expert away."""

    rounding: Literal["webster"] = "webster"
    method: str
    parameters: dict[str, Any]
    budgets: tuple[int, ...] = Field(description="experts per layer, summed over layers")
    counts: tuple[tuple[int, ...], ...] = Field(description="one row for each budget")


def budget_curve(given: Given, budgets: Sequence[int], **words: Any) -> BudgetCurve:
    """The counts at each of these budgets, always rounded by webster; keywords as for `plan`.

    Raises like make_plan, and InvalidRequest for a method that cannot meet every budget.
    """
    options = replace(options_from(words), budget=None, budget_kind="experts", rounding="webster")
    if not method_named(options.method).any_budget:
        raise InvalidRequest(f"method {options.method} has no curve; use alphalora or mola")
    request = PlanRequest(given, options)
    rows = []
    for budget in budgets:
        if int(budget) != budget or budget > MAX_EXPERTS:
            raise InvalidRequest(f"{budget} is no budget; use whole numbers up to {MAX_EXPERTS}")
        rows.append(request.allocate(int(budget)).counts)
    return BudgetCurve(
        method=options.method,
        parameters=request.parameters(),
        budgets=tuple(int(budget) for budget in budgets),
        counts=tuple(rows),
    )
