"""Experts by layer: a plan's counts as bars, with other allocations of the same budget."""

from collections.abc import Iterator, Sequence

from allocator.mola import SHAPES
from allocator.plan import Plan
from allocator.slots import slots_of
from allocator.variants import replan
from service.figures.figure import Axis, Figure, Panel, Series
from service.figures.places import depth, short_name

MEAN = "uniform"


def experts(plan: Plan, *, shapes: Sequence[str] = ()) -> Figure:
    """Counts by layer, the uniform allocation as a line, and MoLA's shapes where asked for.

    A shape is a name (triangle, inverted_triangle, hourglass, rectangle, diamond) or digits such
    as 2468; it shares out the plan's own budget. Of a plan per module the bars are means over the
    modules of a layer. Raises InvalidRequest or InfeasibleBudget for a shape that cannot be.
    """
    axis, _ = depth((layer.stack, layer.layer) for layer in plan.layers)
    counts = layer_counts(plan)
    x = tuple(map(float, range(len(counts))))
    mean = sum(counts) / len(counts)
    series = [
        Series(
            name=plan.method, kind="bars", x=x, y=counts, colour=0,
            labels=tuple(f"{count:g}" if whole(count) else f"{count:.1f}" for count in counts),
        ),
        Series(name=f"{MEAN} ({mean:.3g})", kind="rule", y=(mean,), colour="muted", dashed=True),
        *_shapes(plan, shapes, x),
    ]  # fmt: skip
    return Figure(
        name="experts",
        title=f"{named(plan)}: experts by layer",
        subtitle=budget_words(plan),
        panels=(Panel(x=axis, y=count_axis(plan), series=tuple(series)),),
        notes=per_module_note(plan),
    )


def layer_counts(plan: Plan) -> tuple[float, ...]:
    """Experts of each layer; of a plan per module the mean over the layer's modules."""
    return tuple(
        float(layer.experts)
        if layer.experts is not None
        else sum(module.experts for module in layer.modules) / len(layer.modules)
        for layer in plan.layers
    )


def means_of(plan: Plan, counts: Sequence[int]) -> tuple[float, ...]:
    """The same of other counts for the plan's slots."""
    found: dict[tuple[str, int], list[int]] = {}
    for slot, count in zip(slots_of(plan), counts, strict=True):
        found.setdefault((slot.stack, slot.layer), []).append(count)
    return tuple(sum(row) / len(row) for row in found.values())


def named(plan: Plan) -> str:
    """The model, or what stands in for it."""
    if plan.model:
        return short_name(plan.model)
    return "scores" if plan.values == "score" else "no model"


def budget_words(plan: Plan) -> str:
    """Method, budget and total."""
    over = "modules" if plan.per_module else "layers"
    return (
        f"{plan.method}; budget {plan.budget.experts} experts, "
        f"{plan.budget.allocated} allocated over {len(plan.counts)} {over}"
    )


def count_axis(plan: Plan) -> Axis:
    """The axis of counts."""
    return Axis(name="experts", unit="mean over modules" if plan.per_module else None)


def per_module_note(plan: Plan) -> tuple[str, ...]:
    """That modules have counts of their own."""
    return ("modules have counts of their own; bars are means of layers",) * plan.per_module


def whole(number: float) -> bool:
    """Whether a count is a whole number."""
    return number == int(number)


def _shapes(plan: Plan, shapes: Sequence[str], x: tuple[float, ...]) -> Iterator[Series]:
    for colour, shape in enumerate(dict.fromkeys(shapes), 1):
        made = replan(plan, "mola", shape=shape)
        digits = "".join(map(str, SHAPES[shape])) if shape in SHAPES else ""
        name = f"MoLA {shape.replace('_', ' ')}{f' ({digits})' if digits else ''}"
        yield Series(name=name, kind="line", x=x, y=layer_counts(made), colour=colour)
