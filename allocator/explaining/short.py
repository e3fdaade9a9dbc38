"""The plan in a few sentences: what it is, how sure, and the one thing to do."""

from collections.abc import Iterator

from allocator.explaining.reading import Reading
from allocator.explaining.scattered import HOLDS
from allocator.explanation import Sentence
from allocator.wording import counted, percent, sentence
from analyzer.text import shown


def in_short(reading: Reading) -> Iterator[Sentence]:
    """Three sentences at most."""
    for text in (*_plan(reading), *_sure(reading), *_do(reading)):
        yield Sentence(text=sentence(text))


def _plan(reading: Reading) -> Iterator[str]:
    low, high = min(reading.counts), max(reading.counts)
    each = counted(low, "expert") if low == high else f"{low} to {high} experts"
    yield f"by {shown(reading.plan.method)}, each {reading.unit} gets {each}"


def _sure(reading: Reading) -> Iterator[str]:
    """By the best evidence that the plan holds."""
    usable = [
        scatter
        for scatter in reading.plan.scatter
        if scatter.status == "ok" and len(scatter.spreads) == len(reading.slots)
    ]
    if usable:
        best = min(usable, key=lambda scatter: scatter.source != "resampling")
        firm = sum(spread.kept >= HOLDS for spread in best.spreads)
        yield (
            f"{firm} of {counted(len(reading.slots), 'count')} hold in at least {percent(HOLDS)} "
            f"of the {best.source} draws"
        )
    elif reading.by_alpha:
        yield "how far its counts can be trusted is not in this plan yet"


def _do(reading: Reading) -> Iterator[str]:
    if reading.by_alpha and not reading.even:
        yield (
            "independent re-runs put plans by alpha level with uniform ones: train both before "
            "you trust this one"
        )
