"""How sure the counts are: draws of the alphas, and which counts they move."""

from collections.abc import Iterator

from allocator.explaining.reading import Reading
from allocator.plan import AlternativeStatus, Scatter, ScatterSource, Spread
from allocator.slots import Slot
from allocator.wording import counted, joined, percent, shortened

HOLDS = 0.9
"""A count holds where at least this part of the draws gives it."""
SEEN = 0.05
"""Counts in fewer of the draws than this are not told."""

STATUS: dict[AlternativeStatus, str] = {
    "needs_float64": "that takes spectra in float64",
    "no_fit": "a layer has no fit there",
    "no_plan": "no plan meets the request there",
    "not_applicable": "it does not go with the other settings",
}


def nominal_truth(reading: Reading) -> str:
    """What is wrong with the nominal error of the plan's estimator."""
    if reading.parameter("estimator") == "hill":
        return (
            "it takes eigenvalues for independent draws, and since they repel each other the true "
            "one is smaller"
        )
    return "it ignores that the tail was chosen by the data, so the true one can be larger"


def _drawn(reading: Reading, source: ScatterSource) -> str:
    if source == "resampling":
        return "with alphas measured anew on random sub-matrices with half of the rows and columns"
    return f"with every alpha drawn within its nominal standard error ({nominal_truth(reading)})"


def scattered(reading: Reading, scatter: Scatter) -> Iterator[str]:
    """What a scatter says: the plan as a whole, the counts that hold and those that waver."""
    if scatter.status != "ok":
        yield f"there are no {scatter.source} draws: {_why_none(reading, scatter)}"
        return
    if len(scatter.spreads) != len(reading.slots) or scatter.draws < 1:
        return
    how = f"in {counted(scatter.draws, 'draw')} {_drawn(reading, scatter.source)}"
    if scatter.kept is None:
        yield f"{how}, counts scatter as follows"
    else:
        yield f"{how}, {percent(scatter.kept)} give this very plan"
    kept = [
        (_part(spread, slot.experts), slot, spread)
        for slot, spread in zip(reading.slots, scatter.spreads, strict=True)
    ]
    yield _holding(reading, [slot for part, slot, _ in kept if part >= HOLDS])
    wavering = sorted((row for row in kept if row[0] < HOLDS), key=lambda row: row[0])
    if wavering:
        told = [f"{reading.place(slot)} ({_mix(spread)})" for _, slot, spread in wavering]
        yield f"less sure, the least first: {shortened(told)}"


def _why_none(reading: Reading, scatter: Scatter) -> str:
    if reading.parameter("aspect") == "subsample" and scatter.status == "not_applicable":
        return "windows of a matrix overlap, so their pooled alpha has no error"
    return STATUS[scatter.status]


def _holding(reading: Reading, slots: list[Slot]) -> str:
    most = f"in at least {percent(HOLDS)} of them"
    if len(slots) == len(reading.slots):
        return f"{most}, every {reading.unit} keeps its count"
    if not slots:
        return f"no {reading.unit} keeps its count {most}"
    keeps = "keeps its count" if len(slots) == 1 else "keep their counts"
    return f"{most}, {reading.places(slots)} {keeps}"


def _part(spread: Spread, count: int) -> float:
    drawn = sum(spread.counts.values())
    return spread.counts.get(count, 0) / drawn if drawn else 0.0


def _mix(spread: Spread) -> str:
    """`4 in 61 % and 5 in 39 %`: the counts that are seen, the most frequent first."""
    ranked = sorted(spread.counts, key=lambda count: (-spread.counts[count], count))
    seen = [count for count in ranked if _part(spread, count) >= SEEN] or ranked[:1]
    return joined([f"{count} in {percent(_part(spread, count))}" for count in seen]) or "no draws"
