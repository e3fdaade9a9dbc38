"""How sure the counts of a plan are, as lines and tables."""

from collections.abc import Iterator
from statistics import median

from rich.console import Console

from allocator.explaining.scattered import HOLDS, SEEN
from allocator.plan import Alternative, Plan, Scatter, Spread
from allocator.slots import slots_of
from allocator.wording import counted, place_name, shortened
from service.cli.layout import or_dash, print_line, print_table


def show_stability(console: Console, plan: Plan) -> None:
    """The counts under other estimators and rounded weights, then the plan under draws."""
    for other in plan.stability:
        if other.counts is not None:
            counts = " ".join(map(str, other.counts))
            differ = f"{other.changed} of {len(other.counts)} differ"
            print_line(console, f"{_what(other)}: {counts} ({differ})")
    for scatter in sorted(plan.scatter, key=lambda scatter: scatter.source != "resampling"):
        _show_scatter(console, plan, scatter)


def _what(other: Alternative) -> str:
    if other.weights == "bfloat16":
        return "from weights rounded to bfloat16"
    return f"by {other.estimator} instead"


def _show_scatter(console: Console, plan: Plan, scatter: Scatter) -> None:
    if scatter.kept is None:
        print_line(console, f"{scatter.source} draws: none ({scatter.status})")
        return
    module = ["module"] if plan.per_module else []
    print_table(
        console,
        f"counts in {scatter.draws:,} {scatter.source} draws (seed {scatter.seed})",
        ["stack", "layer", *module, "experts", "± drawn", "kept", "share of draws by count"],
        _rows(plan, scatter),
    )
    print_line(console, _verdict(plan, scatter))
    print_line(console, f"{scatter.kept:.0%} of the draws give this very plan; {scatter.note}")
    if scatter.source == "resampling" and (ratios := _nominal_ratios(plan, scatter)):
        print_line(
            console,
            f"the nominal errors are {min(ratios):.1f} to {max(ratios):.1f} times the resampled "
            f"ones (median {median(ratios):.1f})",
        )


def _verdict(plan: Plan, scatter: Scatter) -> str:
    """How many counts hold in most draws, and between which numbers the others waver."""
    pairs = list(zip(slots_of(plan), scatter.spreads, strict=True))
    stacks = len({slot.stack for slot, _ in pairs})
    wavering = [
        f"{place_name(slot.stack, slot.layer, slot.module, stacks=stacks)} ({_likely(spread)})"
        for slot, spread in sorted(pairs, key=lambda pair: pair[1].kept)
        if spread.kept < HOLDS
    ]
    firm = f"{len(pairs) - len(wavering)} of {counted(len(pairs), 'count')}"
    open_ones = f"; open: {shortened(wavering)}" if wavering else ""
    return f"firm in at least {HOLDS:.0%} of the draws: {firm}{open_ones}"


def _likely(spread: Spread) -> str:
    """`4 or 5`: the counts that are seen in more than a few draws."""
    draws = sum(spread.counts.values())
    return " or ".join(str(count) for count, seen in spread.counts.items() if seen > SEEN * draws)


def _nominal_ratios(plan: Plan, scatter: Scatter) -> list[float]:
    """Nominal over drawn error of every layer; a plan per module holds no errors of modules."""
    if plan.per_module:
        return []
    return [
        layer.nominal_standard_error / spread.standard_error
        for layer, spread in zip(plan.layers, scatter.spreads, strict=True)
        if layer.nominal_standard_error and spread.standard_error
    ]


def _rows(plan: Plan, scatter: Scatter) -> Iterator[tuple[str, ...]]:
    for slot, spread in zip(slots_of(plan), scatter.spreads, strict=True):
        seen = "  ".join(
            f"{count}: {times / scatter.draws:.1%}" for count, times in spread.counts.items()
        )
        yield (
            slot.stack, str(slot.layer), *([slot.module] if slot.module else []), str(slot.experts),
            or_dash(spread.standard_error, ".4f"), f"{spread.kept:.1%}", seen,
        )  # fmt: skip
