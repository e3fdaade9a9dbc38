"""A plan as a table."""

from collections import Counter
from collections.abc import Iterator, Sequence

from rich.console import Console

from allocator.plan import Plan, PlanLayer
from service.cli.chart import show_counts
from service.cli.layout import or_dash, print_line, print_table
from service.cli.stability import show_stability

BAR = "█"
LONGEST_BAR = 40


def show_plan(console: Console, plan: Plan) -> None:
    """Every layer with its count, then the sums, then how sure they are.

    Of a plan per module every layer has a column for each module.
    """
    estimator = plan.parameters["estimator"]
    by = f", alpha by {estimator}" if estimator else ""
    names = list(dict.fromkeys(module.name for module in plan.modules)) if plan.per_module else []
    last = _short(names) if plan.per_module else ["share", "experts", ""]
    print_table(
        console,
        f"{plan.model or _without_model(plan)}: {plan.method}{by}",
        ["stack", "layer", "score" if plan.values == "score" else "alpha", "± nominal", *last],
        (_row(layer, names) for layer in plan.layers),
    )
    print_line(console, f"experts: {' '.join(map(str, plan.counts))}")
    trainable = plan.trainable_parameters
    size = "" if trainable is None else f", {trainable:,} trainable parameters"
    print_line(console, f"sum {plan.budget.allocated}{size}, digest {plan.digest[:12]}")
    show_stability(console, plan)
    if console.is_terminal:
        show_counts(console, plan)


def _row(layer: PlanLayer, names: Sequence[str]) -> tuple[str, ...]:
    own = tuple(_counts(layer, names)) if layer.experts is None else _count(layer, layer.experts)
    return (
        layer.stack, str(layer.layer), or_dash(layer.alpha),
        or_dash(layer.nominal_standard_error), *own,
    )  # fmt: skip


def _count(layer: PlanLayer, experts: int) -> tuple[str, ...]:
    return or_dash(layer.share, ".2f"), str(experts), BAR * min(experts, LONGEST_BAR)


def _counts(layer: PlanLayer, names: Sequence[str]) -> Iterator[str]:
    counts = {module.name: module.experts for module in layer.modules}
    yield from (or_dash(counts.get(name), "d") for name in names)


def _short(names: Sequence[str]) -> list[str]:
    """The last parts of names where they tell them apart, else the names."""
    ends = Counter(name.rpartition(".")[2] for name in names)
    return [end if ends[end := name.rpartition(".")[2]] == 1 else name for name in names]


def _without_model(plan: Plan) -> str:
    return "scores" if plan.values == "score" else "no model"
