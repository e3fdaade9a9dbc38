"""Compare plans: their counts side by side, how far apart they are, and why."""

from collections.abc import Iterator, Sequence

from allocator.changes import same_weights, setting_changes
from allocator.comparison import (
    ComparedPlan,
    ComparedRow,
    Comparison,
    Largest,
    PlanDifference,
)
from allocator.errors import InvalidRequest, PlanMismatch
from allocator.plan import Plan, PlanLayer, PlanModule
from allocator.rank import kendall_tau
from allocator.reasons import Pair, reasons_for
from allocator.wording import counted, joined, place_name
from analyzer.text import shown


def compare_plans(plans: Sequence[Plan], names: Sequence[str] | None = None) -> Comparison:
    """Every plan against the first, row by row.

    Rows are layers, or modules where any plan is per module: a per-layer plan then stands for its
    layer's count in each module. `names` default to `plan 1`, `plan 2` …

    Distance: `l1` is the sum over rows of |count − count|, where a module that a plan does not
    adapt counts as 0. Where both plans' rows sum to the same, `moved` = l1 / 2 is how many experts
    would have to move to turn one plan into the other. Raises InvalidRequest for fewer than two
    plans or unfit names, PlanMismatch for plans of other layers.
    """
    names = _names(plans, names)
    _check_layers(plans, names)
    rows = tuple(_rows(plans))
    return Comparison(
        per_module=any(plan.per_module for plan in plans),
        plans=tuple(_compared(plan, name) for plan, name in zip(plans, names, strict=True)),
        rows=rows,
        differences=tuple(
            _difference(plans, names, number, rows) for number in range(1, len(plans))
        ),
        warnings=tuple(_warnings(plans, names)),
    )


def _names(plans: Sequence[Plan], names: Sequence[str] | None) -> list[str]:
    if len(plans) < 2:
        raise InvalidRequest(f"{counted(len(plans), 'plan')} to compare; give at least two")
    if names is None:
        return [f"plan {number}" for number in range(1, len(plans) + 1)]
    if len(set(names)) != len(plans) or len(names) != len(plans):
        raise InvalidRequest(
            f"the names of {len(plans)} plans are {', '.join(map(shown, names))}; "
            "give each a name of its own"
        )
    return list(names)


def _check_layers(plans: Sequence[Plan], names: Sequence[str]) -> None:
    """Raise PlanMismatch unless all plans have the same layers of the same stacks."""
    first = _layers(plans[0])
    for plan, name in zip(plans, names, strict=True):
        if (found := _layers(plan)) == first:
            continue
        ones, others = _stacks_in_words(plans[0]), _stacks_in_words(plan)
        if ones == others:
            at = next(pair for pair in zip(first, found, strict=True) if pair[0] != pair[1])
            ones, others = (f"layer {layer} of {shown(stack)}" for stack, layer in at)
        raise PlanMismatch(
            f"{shown(names[0])} plans for {ones}, {shown(name)} for {others}; "
            "compare plans of the same layers"
        )


def _layers(plan: Plan) -> list[tuple[str, int]]:
    return [(layer.stack, layer.layer) for layer in plan.layers]


def _stacks_in_words(plan: Plan) -> str:
    stacks = [layer.stack for layer in plan.layers]
    return joined(
        [
            f"{counted(stacks.count(stack), 'layer')} of {shown(stack)}"
            for stack in dict.fromkeys(stacks)
        ]
    )


def _compared(plan: Plan, name: str) -> ComparedPlan:
    return ComparedPlan(
        name=name,
        digest=plan.digest,
        model=plan.model,
        revision=plan.revision,
        method=plan.method,
        per_module=plan.per_module,
        experts=plan.budget.experts,
        allocated=plan.budget.allocated,
        trainable_parameters=plan.trainable_parameters,
    )


def _rows(plans: Sequence[Plan]) -> Iterator[ComparedRow]:
    per_module = any(plan.per_module for plan in plans)
    for layers in zip(*(plan.layers for plan in plans), strict=True):
        if per_module:
            yield from _module_rows(layers)
            continue
        yield ComparedRow(
            stack=layers[0].stack,
            layer=layers[0].layer,
            module=None,
            counts=tuple(layer.experts for layer in layers),
            shares=tuple(layer.share for layer in layers),
            alphas=tuple(layer.alpha for layer in layers),
        )


def _module_rows(layers: Sequence[PlanLayer]) -> Iterator[ComparedRow]:
    """One row for each module that any plan adapts; names in the file or in the live model."""
    aliases: dict[str, set[str]] = {}
    for module in (module for layer in layers for module in layer.modules):
        own = _aliases(module)
        known = next((name for name, others in aliases.items() if own & others), module.name)
        aliases[known] = aliases.get(known, set()) | own
    for name, known_as in aliases.items():
        cells = [_cell(layer, known_as) for layer in layers]
        yield ComparedRow(
            stack=layers[0].stack,
            layer=layers[0].layer,
            module=name,
            counts=tuple(count for count, _, _ in cells),
            shares=tuple(share for _, share, _ in cells),
            alphas=tuple(alpha for _, _, alpha in cells),
        )


def _aliases(module: PlanModule) -> set[str]:
    return {name for name in (module.name, module.live) if name is not None}


def _cell(layer: PlanLayer, names: set[str]) -> tuple[int | None, float | None, float | None]:
    """Count, share and alpha of a module; a block's alpha is not that of its modules."""
    module = next((module for module in layer.modules if _aliases(module) & names), None)
    if layer.experts is None:
        return (module.experts, module.share, module.alpha) if module else (None, None, None)
    if layer.modules and module is None:
        return None, None, None
    return layer.experts, layer.share, None


def _difference(
    plans: Sequence[Plan], names: Sequence[str], number: int, rows: Sequence[ComparedRow]
) -> PlanDifference:
    reference, other = plans[0], plans[number]
    l1 = sum(abs((row.counts[number] or 0) - (row.counts[0] or 0)) for row in rows)
    more = sum((row.counts[number] or 0) - (row.counts[0] or 0) for row in rows)
    stacks = len({row.stack for row in rows})
    pairs = [pair for row in rows if (pair := _pair(row, number, stacks)) is not None]
    return PlanDifference(
        name=names[number],
        l1=l1,
        moved=None if more else l1 // 2,
        sum_difference=more,
        rows=len(pairs),
        same=sum(pair.counts[0] == pair.counts[1] for pair in pairs),
        kendall_tau=kendall_tau(
            [pair.counts[0] for pair in pairs], [pair.counts[1] for pair in pairs]
        ),
        largest=_largest(rows, number),
        weights=same_weights(reference, other),
        settings=setting_changes(reference, other),
        reasons=reasons_for(reference, other, pairs, _alone(rows, number)),
    )


def _pair(row: ComparedRow, number: int, stacks: int) -> Pair | None:
    before, after = row.counts[0], row.counts[number]
    if before is None or after is None:
        return None
    return Pair(
        place=place_name(row.stack, row.layer, row.module, stacks=stacks),
        counts=(before, after),
        shares=(row.shares[0], row.shares[number]),
        alphas=(row.alphas[0], row.alphas[number]),
    )


def _alone(rows: Sequence[ComparedRow], number: int) -> int:
    """Modules that one of the two plans adapts and the other does not."""
    return sum((row.counts[0] is None) != (row.counts[number] is None) for row in rows)


def _largest(rows: Sequence[ComparedRow], number: int) -> Largest | None:
    """The first of the rows whose counts differ most."""
    if not rows:
        return None
    row = max(rows, key=lambda row: abs((row.counts[number] or 0) - (row.counts[0] or 0)))
    before, after = row.counts[0] or 0, row.counts[number] or 0
    if before == after:
        return None
    return Largest(
        stack=row.stack, layer=row.layer, module=row.module, reference=before, other=after
    )


def _warnings(plans: Sequence[Plan], names: Sequence[str]) -> Iterator[str]:
    first = plans[0]
    for plan, name in zip(plans[1:], names[1:], strict=True):
        known = first.model is not None and plan.model is not None
        if known and first.model != plan.model and same_weights(first, plan) != "same":
            yield (
                f"{shown(names[0])} is a plan for {shown(first.model)}, {shown(name)} for "
                f"{shown(plan.model)}: layers are compared by their number alone"
            )
