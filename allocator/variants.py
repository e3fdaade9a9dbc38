"""Other plans over the modules of a plan, made from the plan alone: what it is compared with."""

import hashlib
from collections.abc import Sequence
from dataclasses import replace
from itertools import count
from typing import Any

from allocator.errors import InvalidRequest
from allocator.methods import method_named
from allocator.options import PlanOptions
from allocator.plan import Plan, PlanLayer
from allocator.planner import make_plan
from allocator.request import PlanRequest
from allocator.subject import Layer, Subject, Target

_KEPT = (
    "rounding", "min_experts", "max_experts", "top_k", "rank", "lora_alpha", "modules",
    "per_module", "stack",
)  # fmt: skip
"""Parameters that a plan has by whatever method."""

_LISTS = ("counts", "ranks", "top_ks")
"""Parameters of custom with one entry a count."""


def replan(plan: Plan, method: str, **parameters: Any) -> Plan:
    """The plan of a method that needs no alphas, for the same modules, at the same budget.

    `replan(plan, "mola", shape="2468")`. The counts have the sum of the plan's own; where a module
    plan's sum is no whole number a layer, they are given as custom ones. Raises InvalidRequest, and
    InfeasibleBudget where the method cannot meet the sum.
    """
    if method_named(method).needs_values:
        raise InvalidRequest(
            f"method {method} needs alphas, which a plan alone does not give; make that plan with "
            "`tailora plan` and name its file"
        )
    listed = [name for name in ("ranks", "top_ks") if plan.parameters.get(name) is not None]
    if listed:
        raise InvalidRequest(
            f"the plan has {listed[0]} of its own for each count, so other counts would be another "
            "budget; permute it, or make the other plan with `tailora plan`"
        )
    subject = _subject(plan)
    options = PlanOptions(
        method=method, parameters=parameters, budget=plan.budget.experts, **_kept(plan)
    )
    made = make_plan(subject, options)
    if made.budget.allocated == plan.budget.allocated:
        return made
    counts = PlanRequest(subject, options).recount((), plan.budget.allocated)
    return make_plan(
        subject, replace(options, method="custom", parameters={"counts": counts}, budget=None)
    )


def permuted(plan: Plan, seed: int) -> Plan:
    """The plan with its layers' mixtures in another order, never its own.

    A layer gives its counts, ranks and top_k to one with the same modules in the same stack, so
    parameters stay as many. The order is the seed's on every platform. Raises InvalidRequest where
    such layers are all alike.
    """
    subject, own = _subject(plan), _rows(plan)
    groups: dict[tuple[object, ...], list[int]] = {}
    for place, layer in enumerate(plan.layers):
        groups.setdefault(_likeness(layer), []).append(place)
    if all(own[place] == own[places[0]] for places in groups.values() for place in places):
        raise InvalidRequest(
            "layers with the same modules have the same counts in this plan, so there is no other "
            "order of them; leave `permuted` out"
        )
    for attempt in count():
        rows = list(own)
        for places in groups.values():
            for place, taken in zip(places, _shuffled(places, seed, attempt), strict=True):
                rows[place] = own[taken]
        if rows != own:
            break
    slots = [slot for row in rows for slot in row]
    parameters = {
        name: [slot[position] for slot in slots]
        for position, name in enumerate(_LISTS)
        if name == "counts" or plan.parameters.get(name) is not None
    }
    return make_plan(subject, PlanOptions(method="custom", parameters=parameters, **_kept(plan)))


def _kept(plan: Plan) -> dict[str, Any]:
    return {name: plan.parameters[name] for name in _KEPT if name in plan.parameters}


def _subject(plan: Plan) -> Subject:
    if not all(layer.modules for layer in plan.layers):
        raise InvalidRequest("the plan names no modules; import it with --model, or plan a model")
    layers = (
        Layer(
            layer.stack,
            layer.layer,
            tuple(Target(module.name, module.shape) for module in layer.modules),
        )
        for layer in plan.layers
    )
    return Subject(
        layers=tuple(layers),
        values="none",
        stacks=plan.stacks,
        skipped=plan.skipped,
        weights=plan.weights,
        model=plan.model,
        revision=plan.revision,
        model_type=plan.model_type,
    )


Row = tuple[tuple[int, int, int], ...]


def _rows(plan: Plan) -> list[Row]:
    """Of each layer, count, rank and top_k: once, or of each module in a per-module plan."""
    rows: list[Row] = []
    for layer in plan.layers:
        slots = tuple((module.experts, module.rank, module.top_k) for module in layer.modules)
        rows.append(slots if layer.experts is None else slots[:1])
    return rows


def _likeness(layer: PlanLayer) -> tuple[object, ...]:
    return layer.stack, tuple((module.name, module.shape) for module in layer.modules)


def _shuffled(places: Sequence[int], seed: int, attempt: int) -> list[int]:
    def draw(place: int) -> str:
        return hashlib.sha256(f"{seed} {attempt} {place}".encode()).hexdigest()

    return sorted(places, key=draw)
