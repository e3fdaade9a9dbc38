"""Why two plans give other counts: facts that follow from the plans, and never a guess."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from allocator.changes import by_values, causes, same_weights, setting_changes
from allocator.plan import Plan
from allocator.wording import counted, joined, sentence, setting, shortened

SAME_SHARE = 1e-6
"""Shares closer than this are the same."""


@dataclass(frozen=True, slots=True)
class Pair:
    """A row that both plans count: reference first."""

    place: str
    counts: tuple[int, int]
    shares: tuple[float | None, float | None]
    alphas: tuple[float | None, float | None]

    @property
    def both_alphas(self) -> tuple[float, float] | None:
        """The alphas (or scores), where both are known."""
        before, after = self.alphas
        return None if before is None or after is None else (before, after)

    @property
    def both_shares(self) -> tuple[float, float] | None:
        """The exact shares, where both are known."""
        before, after = self.shares
        return None if before is None or after is None else (before, after)


def reasons_for(
    reference: Plan, other: Plan, pairs: Sequence[Pair], alone: int = 0
) -> tuple[str, ...]:
    """Sentences on what moved and what it can come from.

    `alone` is the number of modules that only one of the plans adapts.
    """
    found = [_verdict(reference, other, pairs)]
    if alone:
        found.append(f"{counted(alone, 'module is', 'modules are')} adapted by one plan only")
    if any(pair.counts[0] != pair.counts[1] for pair in pairs):
        found += [*_values_moved(reference, other, pairs), *_budget(reference, other, pairs),
                  *_rounded_apart(reference, other, pairs)]  # fmt: skip
    return tuple(map(sentence, found))


def _verdict(reference: Plan, other: Plan, pairs: Sequence[Pair]) -> str:
    changed = sum(pair.counts[0] != pair.counts[1] for pair in pairs)
    found = causes(reference, other, setting_changes(reference, other), _same_values(pairs))
    differ = f"{joined(found)} {'differs' if len(found) == 1 else 'differ'}" if found else ""
    if not changed:
        return f"no count differs, although {differ}" if found else "no count differs"
    if {reference.method, other.method} == {"custom"}:
        return "both plans state counts that were given; neither records where they come from"
    if not found:
        return (
            f"{counted(changed, 'count differs', 'counts differ')}, and nothing that they depend on"
            + _unrecorded(reference, other, pairs)
        )
    if len(found) == 1:
        return (
            f"of all that the counts depend on, only {_in_words(found[0], reference, other)}"
            + _unrecorded(reference, other, pairs)
        )
    return f"{differ} at once: what each of them moved cannot be told apart"


def _unrecorded(reference: Plan, other: Plan, pairs: Sequence[Pair]) -> str:
    valued = by_values(reference) and by_values(other)
    if valued and not _same_values(pairs) and same_weights(reference, other) == "unknown":
        return "; whether the weights are the same is not recorded"
    return ""


def _in_words(cause: str, reference: Plan, other: Plan) -> str:
    change = next((each for each in setting_changes(reference, other) if each.name == cause), None)
    if change is None:
        return f"{cause} differ"
    return f"{cause} differs: {setting(change.reference)} and {setting(change.other)}"


def _same_values(pairs: Sequence[Pair]) -> bool:
    """Whether every value is known in both plans and the same, to the last digit."""
    return bool(pairs) and all(
        (both := pair.both_alphas) is not None and both[0] == both[1] for pair in pairs
    )


def _values_moved(reference: Plan, other: Plan, pairs: Sequence[Pair]) -> Iterator[str]:
    if not (by_values(reference) and by_values(other)):
        return
    if reference.values != other.values:
        yield f"one plan is by {reference.values}, the other by {other.values}: not comparable"
        return
    known = [pair for pair in pairs if pair.both_alphas is not None]
    name = reference.values
    if _same_values(pairs):
        yield f"the {name}s are the same in both"
    elif known:
        most = max(known, key=_moved)
        before, after = most.both_alphas or (0.0, 0.0)
        yield f"{name} moved by up to {_moved(most):.2g} ({most.place}: {before:.3f} → {after:.3f})"


def _moved(pair: Pair) -> float:
    before, after = pair.both_alphas or (0.0, 0.0)
    return abs(after - before)


def _budget(reference: Plan, other: Plan, pairs: Sequence[Pair]) -> Iterator[str]:
    before, after = reference.budget.experts, other.budget.experts
    if before == after:
        return
    ratios = [shares[1] / shares[0] for pair in pairs if (shares := pair.both_shares)]
    known = len(ratios) == len(pairs)
    alike = known and max(ratios) - min(ratios) < SAME_SHARE
    raised = "raises" if after > before else "lowers"
    effect = f", which {raised} every share by a factor of {ratios[0]:.3g}" if alike else ""
    yield f"the budget goes from {before:,} to {after:,}{effect}"


def _rounded_apart(reference: Plan, other: Plan, pairs: Sequence[Pair]) -> Iterator[str]:
    """Rows whose share hardly moved, so that rounding made the difference."""
    near = [
        pair
        for pair in pairs
        if pair.counts[0] != pair.counts[1]
        and (shares := pair.both_shares)
        and abs(shares[1] - shares[0]) < 0.5
        and "custom" not in (reference.method, other.method)
    ]
    equal = [pair for pair in near if _share_change(pair) < SAME_SHARE]
    moved = [pair for pair in near if _share_change(pair) >= SAME_SHARE]
    if equal:
        cases = [_case(pair, reference, other) for pair in equal]
        yield f"the same share was rounded in two ways: {shortened(cases)}"
    if moved:
        cases = [_case(pair, reference, other) for pair in moved]
        yield (
            "the share moved by less than half an expert, and rounding made it another count: "
            f"{shortened(cases)}"
        )


def _share_change(pair: Pair) -> float:
    before, after = pair.both_shares or (0.0, 0.0)
    return abs(after - before)


def _case(pair: Pair, reference: Plan, other: Plan) -> str:
    before, after = pair.both_shares or (0.0, 0.0)
    share = f"{before:.2f}" if _share_change(pair) < SAME_SHARE else f"{before:.2f} → {after:.2f}"
    repaired = any(
        plan.method == "alphalora_as_released" and count != round(value)
        for plan, count, value in zip((reference, other), pair.counts, (before, after), strict=True)
    )
    note = " by the released rule's repair" if repaired else ""
    return f"{pair.place} (share {share}, {pair.counts[0]} and {pair.counts[1]} experts{note})"
