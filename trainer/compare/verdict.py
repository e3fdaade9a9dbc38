"""What an outcome allows to say, and what has to be said with it. No torch."""

from collections.abc import Sequence

from analyzer.text import listed, shown
from trainer.compare.intervals import FEWEST_SEEDS
from trainer.compare.results import Compared, Difference

_MANY = 20
"""Arms that are named."""


def verdict_on(found: Compared) -> str:
    """One paragraph on all arms."""
    refused = _refused(found)
    if refused is not None:
        return refused
    clear = [each for each in found.differences if each.finding in ("better", "worse")]
    equal = [each for each in found.differences if each.finding == "no_difference"]
    open_ = [each for each in found.differences if each.finding is None]
    parts = [_clear(found, each) for each in clear]
    if equal:
        parts.append(_equal(found, equal, alone=not clear and not open_))
    parts.extend(
        f"{each.arm} differs from {found.reference} by {each.by_seed.mean:+.4f} with every seed "
        "alike, so that nothing scatters and no test is possible; more held-out samples would tell"
        for each in open_
    )
    left_out = [arm.name for arm in found.arms if arm.failed]
    if left_out:
        parts.append(f"left out, since a run failed: {listed(left_out, _MANY)}")
    return "; ".join(parts) + "."


def notes_on(found: Compared) -> tuple[str, ...]:
    """What a reader of the figures has to know."""
    failed = (f"{run.arm}, seed {run.seed} failed: {run.reason}" for run in found.failed)
    own = {arm.name: arm.trainable_parameters for arm in found.arms}
    base = own[found.reference]
    sizes = [
        f"{name} has {number / base - 1:+.0%} trainable parameters against {found.reference}"
        for name, number in own.items()
        if base and number and abs(number / base - 1) > 0.05
    ]
    uncorrected = [
        f"{each.arm}: its interval alone excludes 0, and among {len(found.differences)} arms that "
        "happens by chance too often to count"
        for each in found.differences
        if each.finding == "no_difference" and not _holds_zero(each)
    ]
    return (*failed, *sizes, *uncorrected)


def _refused(found: Compared) -> str | None:
    """Why nothing can be said; None where something can."""
    done = sum(run.status != "missing" for run in found.runs)
    if found.status == "stopped":
        return (
            f"stopped after {done} of {len(found.runs)} runs: no verdict yet; the same command "
            "goes on"
        )
    if any(arm.failed for arm in found.arms if arm.name == found.reference):
        return f"no verdict: a run of {shown(found.reference)}, the reference, failed"
    if not found.differences:
        return f"no verdict: a run of every arm but {shown(found.reference)} failed"
    if len(found.seeds) < FEWEST_SEEDS:
        seeds = "1 seed is" if len(found.seeds) == 1 else f"{len(found.seeds)} seeds are"
        return f"{seeds} too few to tell a difference from seed noise; give at least {FEWEST_SEEDS}"
    return None


def _clear(found: Compared, each: Difference) -> str:
    by = each.by_seed
    assert by.low is not None
    assert by.high is not None
    low, high = sorted((abs(by.low), abs(by.high)))
    return (
        f"{each.arm} is {each.finding} than {found.reference} by {abs(by.mean):.4f} in "
        f"{found.measure} (95 % interval {low:.4f} to {high:.4f}, corrected p "
        f"{each.corrected_p:.2g}, {by.runs} seeds)"
    )


def _equal(found: Compared, each: Sequence[Difference], *, alone: bool) -> str:
    """What seeds alone can make of it, and how large a difference they could hide."""
    who = "" if alone else f" between {found.reference} and {listed([e.arm for e in each], _MANY)}"
    bounds = [abs(b) for e in each for b in (e.by_seed.low, e.by_seed.high) if b is not None]
    hidden = max(bounds)
    rest = f"; one of up to {hidden:.4f} in {found.measure} could still be there" if hidden else ""
    return f"no difference beyond seed noise{who} over {len(found.seeds)} seeds{rest}"


def _holds_zero(each: Difference) -> bool:
    by = each.by_seed
    return by.low is None or by.high is None or by.low <= 0 <= by.high
