"""Short charts of block characters, for a terminal alone."""

from collections.abc import Sequence
from itertools import groupby

from rich.console import Console

from allocator.plan import Plan
from analyzer.report import Analysis
from service.cli.layout import print_line
from service.figures.experts import layer_counts

BLOCKS = " ▁▂▃▄▅▆▇█"
ROWS = 4
_COLOUR = "cyan"


def show_counts(console: Console, plan: Plan) -> None:
    """Experts by layer as upright bars from zero, a column for each layer, stack by stack."""
    places = [
        (layer.stack, count) for layer, count in zip(plan.layers, layer_counts(plan), strict=True)
    ]
    most = max(count for _, count in places)
    for stack, group in groupby(places, lambda place: place[0]):
        counts = [count for _, count in group]
        print_line(console, f"experts by layer of {stack}, layer 0 at the left")
        for start in range(0, len(counts), _room(console)):
            part = counts[start : start + _room(console)]
            for number, row in enumerate(bars(part, most)):
                edge = (
                    f"{most:>6g} "
                    if number == 0
                    else f"{0:>6g} "
                    if number == ROWS - 1
                    else " " * 7
                )
                _print(console, edge, row)


def show_alphas(console: Console, analysis: Analysis) -> None:
    """Alpha by layer as one row of blocks, from the lowest to the highest of the stack."""
    for stack, group in groupby(analysis.layers, lambda layer: layer.stack):
        alphas = [layer.alpha for layer in group]
        print_line(
            console, f"alpha by layer of {stack}, from {min(alphas):.3f} to {max(alphas):.3f}"
        )
        for start in range(0, len(alphas), _room(console)):
            part = alphas[start : start + _room(console)]
            _print(console, " " * 7, sparkline(part, min(alphas), max(alphas)))


def bars(values: Sequence[float], most: float) -> list[str]:
    """Rows of text, the top one first: a column for each value, up to `most` over all rows."""
    eighths = [round(8 * ROWS * value / most) if most else 0 for value in values]
    return [
        "".join(BLOCKS[min(max(height - 8 * row, 0), 8)] for height in eighths)
        for row in reversed(range(ROWS))
    ]


def sparkline(values: Sequence[float], low: float, high: float) -> str:
    """A block for each value, ▁ at the low end and █ at the high one."""
    width = high - low
    return "".join(
        BLOCKS[1 + round(7 * (value - low) / width)] if width else BLOCKS[4] for value in values
    )


def _room(console: Console) -> int:
    """Columns beside the numbers."""
    return max(console.width - 8, 8)


def _print(console: Console, edge: str, blocks: str) -> None:
    console.print(edge, end="", markup=False, highlight=False)
    console.print(blocks, style=_COLOUR, markup=False, highlight=False, soft_wrap=True)
