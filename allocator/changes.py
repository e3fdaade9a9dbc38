"""Which settings of two plans differ, and which of those their counts can depend on."""

from collections.abc import Iterator, Sequence
from typing import Any

from allocator.comparison import SameWeights, SettingChange
from allocator.methods import METHODS
from allocator.plan import Plan

_BY_VALUES = {name for name, method in METHODS.items() if method.needs_values}
_ROUNDED = {"alphalora", "mola", "uniform"}
_NEVER = {"rank", "ranks", "lora_alpha", "top_k", "top_ks", "stack", "budget_kind"}
"""Shape adapters, or act through the layers or the budget alone."""
_OF_THE_SOURCE = {"model", "revision", "verified"}
"""Say where the weights come from; their sha256 says whether they are the same."""
_RULE = {
    "method",
    "budget",
    "per_module",
    "beta",
    "shape",
    "rounding",
    "min_experts",
    "max_experts",
}
_NULL_MEANS_SOMETHING = {"max_experts", "modules"}


def same_weights(reference: Plan, other: Plan) -> SameWeights:
    """Whether both plans name the same weight files, by sha256."""
    if not reference.weights or not other.weights:
        return "unknown"
    return "same" if reference.weights == other.weights else "other"


def setting_changes(reference: Plan, other: Plan) -> tuple[SettingChange, ...]:
    """Every setting that differs, but weights, and custom's counts, which the rows show."""
    ones, others = _settings(reference), _settings(other)
    return tuple(
        SettingChange(name=name, reference=ones.get(name), other=others.get(name))
        for name in {**ones, **others}
        if ones.get(name) != others.get(name)
    )


def _settings(plan: Plan) -> dict[str, Any]:
    own = {name: value for name, value in plan.parameters.items() if name != "counts"}
    return {
        "model": plan.model,
        "revision": plan.revision,
        "method": plan.method,
        "values": plan.values,
        **own,
        "per_module": plan.per_module,
        "budget_kind": plan.budget.kind,
        "budget": plan.budget.experts,
        "verified": plan.provenance.verified,
        "precision": plan.provenance.precision,
    }


def by_values(plan: Plan) -> bool:
    """Whether the plan's counts follow alphas or scores; so is a method that is not known."""
    return plan.method in _BY_VALUES or plan.method not in METHODS


def causes(
    reference: Plan, other: Plan, changes: Sequence[SettingChange], same_values: bool
) -> list[str]:
    """The differing settings that the counts can depend on.

    With the same values (alphas or scores) in both plans, whatever shapes those drops out; where
    the methods differ, so do parameters that only one of them has.
    """
    methods = {reference.method, other.method}
    found = [change.name for change in changes if _acts(change, methods)]
    valued = by_values(reference) and by_values(other) and not same_values
    rule = [name for name in found if name in _RULE]
    return [*rule, *_value_causes(reference, other, found)] if valued else rule


def _acts(change: SettingChange, methods: set[str]) -> bool:
    if change.name in _NEVER or change.name in _OF_THE_SOURCE:
        return False
    if change.name == "rounding":
        return methods <= _ROUNDED
    if change.name in ("min_experts", "max_experts"):
        return bool(methods & _ROUNDED)
    half_empty = change.reference is None or change.other is None
    return not (half_empty and len(methods) > 1 and change.name not in _NULL_MEANS_SOMETHING)


def _value_causes(reference: Plan, other: Plan, found: Sequence[str]) -> Iterator[str]:
    if reference.values != other.values:
        yield "values"
        return
    yield from (name for name in found if name not in _RULE)
    weights = same_weights(reference, other)
    if weights == "other":
        yield "weights"
    elif weights == "unknown" and reference.model != other.model:
        yield "model"
