"""How sure the counts are."""

from collections.abc import Iterator, Sequence

from allocator.explaining.commands import plan_command
from allocator.explaining.reading import Reading
from allocator.explaining.scattered import STATUS, nominal_truth, scattered
from allocator.explaining.untrained import Shapes
from allocator.explanation import Sentence
from allocator.plan import Alternative
from allocator.wording import counted, joined, quantity, sentence, spanned
from analyzer.text import shown

NEAR = 0.05
_LONGEST_LIST = 64


def how_sure(reading: Reading) -> Iterator[Sentence]:
    """Range of alphas, other estimators, rounded weights, and draws."""
    texts = [*_values(reading), *_alternatives(reading)]
    for scatter in reading.plan.scatter:
        texts += scattered(reading, scatter)
    yield from (Sentence(text=sentence(text)) for text in texts)
    if reading.by_alpha and not reading.plan.scatter:
        yield Sentence(
            text="How the counts scatter when the alphas do is not in this plan; to add it:",
            command=plan_command(reading, "--stability", "all"),
        )


def _values(reading: Reading) -> Iterator[str]:
    if not reading.valued:
        yield _nothing_measured(reading)
        return
    if reading.alphas:
        low, high = quantity(min(reading.alphas)), quantity(max(reading.alphas))
        yield (
            f"{reading.plan.values}s lie at {low}"
            if low == high
            else (f"{reading.plan.values}s run from {low} to {high}")
        )
    if not reading.by_alpha:
        yield "how exact the scores are is not recorded"
        return
    yield from _nominal(reading)
    yield from _untrained(reading)


def _nothing_measured(reading: Reading) -> str:
    if reading.plan.method in ("mola", "uniform"):
        return "nothing was measured for these counts, so no error of measurement can move them"
    return "the plan records nothing that was measured for its counts"


def _nominal(reading: Reading) -> Iterator[str]:
    errors = [
        layer.nominal_standard_error
        for layer in reading.plan.layers
        if layer.nominal_standard_error is not None
    ]
    if errors:
        span = spanned(quantity(min(errors)), quantity(max(errors)))
        yield (f"the nominal standard error of a layer's alpha is {span}; {nominal_truth(reading)}")


def _untrained(reading: Reading) -> Iterator[str]:
    """What random matrices of the same shapes would read; only where every shape is known."""
    shapes = Shapes(reading)
    if not shapes.by_hill or not shapes.complete or reading.plan.per_module or not reading.alphas:
        return
    expected = shapes.references()
    span = spanned(f"{min(expected):.2f}", f"{max(expected):.2f}")
    near = any(
        abs(alpha - random) <= NEAR * random
        for alpha, random in zip(reading.alphas, expected, strict=True)
    )
    caution = (
        "; an alpha close to that, as some are here, says little about training" if near else ""
    )
    yield f"random matrices of these shapes would give a layer an alpha of {span}{caution}"


def _alternatives(reading: Reading) -> Iterator[str]:
    found = [
        other
        for other in reading.plan.stability
        if other.counts is not None and len(other.counts) == len(reading.slots)
    ]
    for other in found:
        yield f"{_by(other)}, {_changed(reading, other.counts or ())}"
    if len(found) > 1:
        yield _agreed(reading, [other.counts or () for other in found])
    for status, words in STATUS.items():
        names = [_name(other) for other in reading.plan.stability if other.status == status]
        if names:
            yield f"not known: the counts by {joined(names)}, since {words}"


def _name(other: Alternative) -> str:
    rounded = " from weights rounded to bfloat16" if other.weights == "bfloat16" else ""
    return f"{shown(other.estimator)}{rounded}"


def _by(other: Alternative) -> str:
    if other.weights == "bfloat16":
        return f"with the weights rounded to bfloat16 (alpha by {shown(other.estimator)})"
    return f"with alpha by {shown(other.estimator)} instead"


def _changed(reading: Reading, counts: Sequence[int]) -> str:
    changed = sum(mine != its for mine, its in zip(reading.counts, counts, strict=True))
    if not changed:
        return "no count would change"
    total = counted(len(counts), reading.unit)
    listed = f": {' '.join(map(str, counts))}" if len(counts) <= _LONGEST_LIST else ""
    return f"{changed} of {total} would get another count{listed}"


def _agreed(reading: Reading, others: Sequence[Sequence[int]]) -> str:
    same = [
        slot
        for position, slot in enumerate(reading.slots)
        if all(counts[position] == slot.experts for counts in others)
    ]
    if not same:
        return f"no {reading.unit} has the same count by all of these"
    if len(same) == len(reading.slots):
        return f"every {reading.unit} has the same count by all of these"
    has = "has" if len(same) == 1 else "have"
    return f"by all of these, {reading.places(same)} {has} the same count"
