"""Which layers get more, and why."""

from collections.abc import Iterator
from math import isfinite

from allocator.explaining.reading import Reading
from allocator.explanation import Sentence
from allocator.mola import SHAPES
from allocator.rank import kendall_tau
from allocator.slots import Slot
from allocator.wording import counted, quantity, sentence, setting, shortened
from analyzer.text import shown

STEADY = 0.2
"""A rank correlation with depth below this is neither a rise nor a fall."""
SAME_SHARE = 1e-6
"""Shares closer than this are the same."""


def why(reading: Reading) -> Iterator[Sentence]:
    """The rule, the extremes, the strength of the spread, depth and kinds of modules."""
    for text in (
        *_rule(reading),
        *_extremes(reading),
        *_spread(reading),
        *_bounded(reading),
        *_repaired(reading),
        *_depth(reading),
        *_kinds(reading),
    ):
        yield Sentence(text=sentence(text))


def _rule(reading: Reading) -> Iterator[str]:
    if reading.by_alpha:
        yield from _alpha_in_words(reading)
    elif reading.valued:
        yield f"each {reading.unit} was given a score; what it measures is not recorded"
    if reading.valued:
        yield from _share_rule(reading)
        return
    yield _placed(reading)
    if reading.plan.values == "score":
        yield "the scores in the plan play no part"


def _alpha_in_words(reading: Reading) -> Iterator[str]:
    yield "one number, alpha, is read from each weight matrix"
    yield (
        "a small alpha means that a few directions of the matrix are far stronger than the others, "
        "which training is thought to bring about; with a large one fewer stand out"
    )
    yield f"so a {reading.unit} with a larger alpha looks less trained, and gets more experts"
    weighting = reading.parameter("weighting")
    mean = "the mean, weighted by size," if weighting == "parameters" else "the mean"
    yield f"a {reading.unit}'s alpha is {mean} over its matrices"
    aspect = reading.parameter("aspect")
    if aspect == "marchenko_pastur":
        yield (
            "the alpha of each matrix is divided by that of a random matrix of its shape, so 1 is "
            "what no training at all would give"
        )
    if aspect == "subsample":
        yield (
            "it is read from windows of one shape, cut from every matrix and taken together, so "
            "that matrices of all shapes are measured alike"
        )


def _share_rule(reading: Reading) -> Iterator[str]:
    name, beta = reading.plan.values, reading.beta
    if beta is None:
        return
    if beta == 0:
        yield f"beta is 0, so every share is the same and the {name} only breaks ties"
        return
    yield (
        f"the exact share of the budget is proportional to {name} to the power of beta, "
        f"which is {setting(beta)}"
    )


def _placed(reading: Reading) -> str:
    plan = reading.plan
    if plan.method == "mola":
        shape = reading.parameter("shape")
        digits = SHAPES.get(str(shape))
        named = f" ({' '.join(map(str, digits))})" if digits else ""
        return (
            f"the numbers of the shape {setting(shape)}{named} are spread over the depth, first to "
            "last layer: a layer's count comes from its place alone, not from its weights"
        )
    if plan.method == "uniform":
        rest = plan.budget.allocated % len(reading.slots)
        uneven = (
            ""
            if rest == 0
            else f"; {counted(plan.budget.allocated, 'expert')} do not divide evenly by "
            f"{counted(len(reading.slots), reading.unit)}"
        )
        return f"every {reading.unit} has the same claim, whatever its weights are{uneven}"
    if plan.method == "custom":
        return "the counts were given one by one; the plan does not say why"
    return f"why method {shown(plan.method)} chose these counts is not known here"


def _extremes(reading: Reading) -> Iterator[str]:
    if reading.even:
        yield f"every {reading.unit} gets the same, {counted(reading.counts[0], 'expert')}"
        return
    for word, count in (("most", max(reading.counts)), ("fewest", min(reading.counts))):
        slots = reading.with_count(count)
        each = " each" if len(slots) > 1 else ""
        known = _numbers(reading, slots)
        yield f"the {word} experts are in {reading.places(slots)}: {count:,}{each}{known}"


def _numbers(reading: Reading, slots: list[Slot]) -> str:
    """` (alpha 2.111, share 5.67)` of a single slot whose count follows from them."""
    if len(slots) > 1 or not reading.valued:
        return ""
    slot = slots[0]
    told = []
    if slot.alpha is not None:
        told.append(f"{reading.plan.values} {quantity(slot.alpha)}")
    if slot.share is not None:
        told.append(f"share {slot.share:.2f}")
    return f" ({', '.join(told)})" if told else ""


def _spread(reading: Reading) -> Iterator[str]:
    """How strongly beta spreads the counts: the ratio of values and what it becomes."""
    free = reading.free_shares
    if not free or reading.beta in (None, 0.0) or min(free) <= 0:
        return
    low, high = min(reading.alphas), max(reading.alphas)
    if low == high:
        yield f"every {reading.unit} has the same {reading.plan.values}"
        return
    values, shares = high / low, max(free) / min(free)
    if isfinite(values) and isfinite(shares):
        yield (
            f"the largest {reading.plan.values} is {quantity(values, 2)} times the smallest; to "
            f"the power of {setting(reading.beta)} this makes the largest share "
            f"{quantity(shares, 2)} times the smallest"
            + (", before bounds" if _held(reading) else "")
        )


def _held(reading: Reading) -> dict[int, list[Slot]]:
    """The slots whose share is a bound instead of what alpha^beta gives, by bound."""
    if reading.plan.method != "alphalora" or not reading.free_shares:
        return {}
    moved = any(
        slot.share is not None and abs(slot.share - free) > SAME_SHARE
        for slot, free in zip(reading.slots, reading.free_shares, strict=True)
    )
    bounds = (reading.parameter("min_experts"), reading.parameter("max_experts"))
    found = {
        bound: [slot for slot in reading.slots if slot.share == bound]
        for bound in bounds
        if isinstance(bound, int)
    }
    return {bound: slots for bound, slots in found.items() if slots and moved}


def _bounded(reading: Reading) -> Iterator[str]:
    for bound, slots in _held(reading).items():
        verb = "share is" if len(slots) == 1 else "shares are"
        yield f"the {verb} held at a bound, {bound}, in {reading.places(slots)}"


def _repaired(reading: Reading) -> Iterator[str]:
    """The slot that the released rule's repair changed."""
    if reading.plan.method != "alphalora_as_released":
        return
    for slot in reading.slots:
        if slot.share is not None and slot.experts != round(slot.share):
            yield (
                "the released rule puts the whole rounding difference on one place: "
                f"{reading.place(slot)} has {counted(slot.experts, 'expert')} for a share of "
                f"{slot.share:.2f}"
            )


def _depth(reading: Reading) -> Iterator[str]:
    for stack in reading.stacks:
        totals = [
            layer.experts if layer.experts is not None else sum(m.experts for m in layer.modules)
            for layer in reading.plan.layers
            if layer.stack == stack
        ]
        tau = kendall_tau(range(len(totals)), totals)
        if len(totals) > 2 and tau is not None:
            where = f" of {shown(stack)}" if len(reading.stacks) > 1 else ""
            yield f"from the first layer{where} to the last, {_course(totals, tau)}"


def _course(totals: list[int], tau: float) -> str:
    if totals == sorted(totals):
        return "counts only rise or stay"
    if totals == sorted(totals, reverse=True):
        return "counts only fall or stay"
    trend = "neither rise nor fall" if abs(tau) < STEADY else "rise" if tau > 0 else "fall"
    return f"counts {trend} on the whole (rank correlation with depth {tau:.2f})"


def _kinds(reading: Reading) -> Iterator[str]:
    """Mean count by module name, in a per-module plan with several."""
    if not reading.plan.per_module:
        return
    by_name: dict[str, list[int]] = {}
    for slot in reading.slots:
        by_name.setdefault(shown(slot.module), []).append(slot.experts)
    if len(by_name) < 2:
        return
    means = {name: sum(counts) / len(counts) for name, counts in by_name.items()}
    ranked = sorted(means, key=lambda name: (-means[name], name))
    if len(set(means.values())) == 1:
        yield "on average all kinds of modules get the same"
        return
    told = [f"{name} {means[name]:.2f}" for name in ranked]
    yield f"experts on average by kind of module, from most to fewest: {shortened(told, 10)}"
