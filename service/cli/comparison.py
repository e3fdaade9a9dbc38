"""A comparison of plans as a table and lines."""

from collections.abc import Iterator

from rich.console import Console

from allocator.comparison import ComparedPlan, ComparedRow, Comparison, PlanDifference
from allocator.wording import counted, place_name, setting
from service.cli.layout import print_line, print_table


def show_comparison(console: Console, comparison: Comparison) -> None:
    """Every row with a column for each plan, then what each plan has that the first has not."""
    names = [plan.name for plan in comparison.plans]
    module = ["module"] if comparison.per_module else []
    last = ["difference"] if len(names) == 2 else []
    print_table(
        console,
        f"experts by {'module' if comparison.per_module else 'layer'}",
        ["stack", "layer", *module, *names, *last],
        (_row(row, comparison.per_module, len(names) == 2) for row in comparison.rows),
    )
    for plan in comparison.plans:
        print_line(console, _plan_in_short(plan))
    stacks = len({row.stack for row in comparison.rows})
    for difference in comparison.differences:
        print_line(console, f"{difference.name} against {names[0]}: {_summary(difference, stacks)}")
        for line in _lines(difference):
            print_line(console, f"  {line}")


def _plan_in_short(plan: ComparedPlan) -> str:
    size = plan.trainable_parameters
    trained = "" if size is None else f", {size:,} trainable parameters"
    over = f", {plan.allocated} over modules" if plan.per_module else ""
    return f"{plan.name}: {plan.method}, {counted(plan.experts, 'expert')}{over}{trained}"


def _row(row: ComparedRow, per_module: bool, two: bool) -> tuple[str, ...]:
    cells = ["–" if count is None else str(count) for count in row.counts]
    change = (row.counts[1] or 0) - (row.counts[0] or 0) if two else 0
    return (
        row.stack, str(row.layer), *([row.module or "–"] if per_module else []), *cells,
        *([f"{change:+d}" if change else ""] if two else []),
    )  # fmt: skip


def _summary(difference: PlanDifference, stacks: int) -> str:
    parts = [f"{difference.same} of {counted(difference.rows, 'count')} the same"]
    if difference.moved is not None:
        parts.append(f"{counted(difference.moved, 'expert')} to move")
    else:
        parts.append(
            f"sum of all changes {difference.l1}, of all counts {difference.sum_difference:+d}"
        )
    if difference.kendall_tau is not None:
        parts.append(f"rank correlation {difference.kendall_tau:.2f}")
    if (most := difference.largest) is not None:
        place = place_name(most.stack, most.layer, most.module, stacks=stacks)
        parts.append(f"largest change {most.reference} → {most.other} in {place}")
    return ", ".join(parts)


def _lines(difference: PlanDifference) -> Iterator[str]:
    yield from difference.reasons
    for change in difference.settings:
        yield f"{change.name}: {setting(change.reference)} → {setting(change.other)}"
    if difference.weights != "unknown":
        yield f"weights: {'the same' if difference.weights == 'same' else 'others'}"
