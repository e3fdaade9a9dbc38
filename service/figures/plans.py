"""Two plans side by side, and one plan under other estimators."""

from allocator.plan import Alternative, Plan
from service.figures.errors import NothingToDraw
from service.figures.experts import (
    budget_words,
    count_axis,
    layer_counts,
    means_of,
    named,
    per_module_note,
)
from service.figures.figure import Axis, Figure, Panel, Series
from service.figures.places import depth


def plans(first: Plan, second: Plan, names: tuple[str, str]) -> Figure:
    """The counts of two plans, and their difference by layer, over the layers of either."""
    pair = (first, second)
    axis, places = depth((each.stack, each.layer) for plan in pair for each in plan.layers)
    counts = [
        {
            places[layer.stack, layer.layer]: count
            for layer, count in zip(plan.layers, layer_counts(plan), strict=True)
        }
        for plan in pair
    ]
    x = tuple(map(float, range(len(places))))
    bars = tuple(
        Series(
            name=f"{name} ({plan.method})", kind="bars", x=x,
            y=tuple(found.get(place) for place in range(len(places))), colour=colour,
        )
        for colour, (name, plan, found) in enumerate(zip(names, pair, counts, strict=True))
    )  # fmt: skip
    both = [place for place in range(len(places)) if all(place in found for found in counts)]
    change = Series(
        name=f"{names[1]} less {names[0]}", kind="bars", x=tuple(map(float, both)),
        y=tuple(counts[1][place] - counts[0][place] for place in both), colour=1,
    )  # fmt: skip
    none = Series(name="no difference", kind="rule", y=(0.0,), colour="muted")
    notes = list(dict.fromkeys(note for plan in pair for note in per_module_note(plan)))
    if len(both) < len(places):
        notes.append("some layers are in one of the plans only")
    return Figure(
        name="plans",
        title="Experts by layer in two plans",
        subtitle="; ".join(f"{n}: {budget_words(p)}" for n, p in zip(names, pair, strict=True)),
        panels=(
            Panel(title="experts", x=axis, y=count_axis(first), series=bars),
            Panel(
                title="difference", x=axis, y=Axis(name="difference", unit="experts"),
                series=(change, none),
            ),
        ),
        notes=tuple(notes),
    )  # fmt: skip


def stability(plan: Plan) -> Figure:
    """The counts that other estimators (and rounded weights) give from the same spectra.

    Raises NothingToDraw where the plan was not questioned.
    """
    others = [other for other in plan.stability if other.counts is not None]
    if not others:
        raise NothingToDraw(
            "the plan holds no counts by other estimators: it was made without alphas, or none of "
            "them has a plan; make it by a method that needs alphas"
        )
    axis, _ = depth((layer.stack, layer.layer) for layer in plan.layers)
    x = tuple(map(float, range(len(plan.layers))))
    own = Series(
        name=str(plan.parameters["estimator"]), kind="bars", x=x, y=layer_counts(plan), colour=0
    )
    lines = tuple(
        Series(
            name=f"{_what(other)} ({other.changed} of {len(other.counts or ())} differ)",
            kind="points", x=x, y=means_of(plan, other.counts or ()), colour=colour,
        )
        for colour, other in enumerate(others, 1)
    )  # fmt: skip
    failed = [f"{_what(each)}: {each.status}" for each in plan.stability if each.counts is None]
    return Figure(
        name="stability",
        title=f"{named(plan)}: experts by layer under other estimators",
        subtitle=budget_words(plan),
        panels=(Panel(x=axis, y=count_axis(plan), series=(own, *lines)),),
        notes=(*failed, *per_module_note(plan)),
    )


def _what(other: Alternative) -> str:
    return "rounded to bfloat16" if other.weights == "bfloat16" else other.estimator
