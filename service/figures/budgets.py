"""The budget curve: what a plan's method gives every layer at other budgets."""

from dataclasses import dataclass, field
from functools import lru_cache

from allocator.budget import MAX_EXPERTS
from allocator.curve import budget_curve
from allocator.methods import method_named
from allocator.plan import Plan
from allocator.subject import Layer, Subject, Target
from service.figures.errors import NothingToDraw
from service.figures.experts import means_of, named
from service.figures.figure import Axis, Figure, Heat, Panel, Series
from service.figures.places import depth

FEWEST, MOST, MOST_COUNTS = 4, 48, 1000
"""Budgets in one curve: shares are exact decimals, which take a millisecond for a few counts."""

_KEPT = ("rounding", "min_experts", "max_experts", "modules", "per_module", "stack")


def budgets(plan: Plan) -> Figure:
    """Layers × budgets, from the least that is feasible to twice the plan's own.

    Rounded by webster, where one more expert never takes one away, so the column at the plan's own
    budget may differ from a plan that was rounded otherwise. Raises NothingToDraw for a method
    that brings its own counts.
    """
    method = method_named(plan.method)
    if not method.any_budget:
        raise NothingToDraw(
            f"a plan by {plan.method} has no budget curve; make one by alphalora, mola or uniform"
        )
    columns = _columns(plan)
    curve = _curve(_Divided(plan.digest, tuple(layer.alpha for layer in plan.layers), plan))
    axis, _ = depth((layer.stack, layer.layer) for layer in plan.layers)
    rows = [means_of(plan, counts) for counts in curve]
    cells = [(x, y, value) for x, row in enumerate(rows) for y, value in enumerate(row)]
    heat = Series(
        name="experts", kind="heat", x=tuple(float(x) for x, *_ in cells),
        y=tuple(float(y) for _, y, _ in cells), values=tuple(value for *_, value in cells),
    )  # fmt: skip
    here = Series(
        name=f"the plan's budget, {plan.budget.experts}", kind="rule",
        x=(float(columns.index(plan.budget.experts)),), colour=3, dashed=True,
    )  # fmt: skip
    values = [value for *_, value in cells]
    return Figure(
        name="budgets",
        title=f"{named(plan)}: experts by layer and budget",
        subtitle=f"{plan.method}, rounded by webster",
        panels=(
            Panel(
                title="experts",
                x=Axis(name="budget", unit="experts over all layers", scale="category",
                       categories=tuple(map(str, columns))),
                y=axis.model_copy(update={"reverse": True}),
                series=(heat, here),
                heat=Heat(name="experts", low=min(values), high=max(values)),
            ),
        ),
        notes=(
            (f"the plan itself is rounded by {plan.parameters['rounding']}",)
            if plan.parameters.get("rounding") not in (None, "webster")
            else ()
        ),
    )  # fmt: skip


@dataclass(frozen=True)
class _Divided:
    """A plan, by what its curve follows from."""

    digest: str
    alphas: tuple[float | None, ...]
    plan: Plan = field(compare=False)


@lru_cache(maxsize=64)
def _curve(asked: _Divided) -> tuple[tuple[int, ...], ...]:
    """Counts at every budget; kept, since a page asks for its table and then for its chart."""
    plan = asked.plan
    method = method_named(plan.method)
    words = {name: plan.parameters[name] for name in _KEPT if name in plan.parameters}
    own = {name: plan.parameters[name] for name in method.parameters.model_fields}
    subject = _subject(plan, method.needs_values)
    return budget_curve(subject, _columns(plan), method=plan.method, **words, **own).counts


def _columns(plan: Plan) -> list[int]:
    layers, own = len(plan.layers), plan.budget.experts
    least = layers * int(plan.parameters.get("min_experts") or 1)
    most = min(max(2 * own, least + layers), MAX_EXPERTS)
    if (bound := plan.parameters.get("max_experts")) is not None:
        most = min(most, layers * int(bound))
    columns = max(FEWEST, min(MOST, MOST_COUNTS // len(plan.counts)))
    stride = max(1, -(-(most - least + 1) // columns))
    return sorted({*range(least, most + 1, stride), own})


def _subject(plan: Plan, valued: bool) -> Subject:
    """What the plan was made for, with the alphas (or scores) that stand in it."""
    return Subject(
        layers=tuple(
            Layer(
                layer.stack,
                layer.layer,
                tuple(Target(each.name, each.shape, value=each.alpha) for each in layer.modules),
                value=layer.alpha if valued else None,
            )
            for layer in plan.layers
        ),
        values="score" if valued else "none",
    )
