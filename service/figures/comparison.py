"""A comparison of trainings: every arm with its interval, and the differences to the reference."""

from service.figures.errors import NothingToDraw
from service.figures.figure import Axis, Figure, Panel, Series
from trainer.compare.results import Compared, Difference


def comparison(found: Compared) -> Figure:
    """Means over seeds with intervals and each run as a point; then paired differences.

    Raises NothingToDraw where no run has finished.
    """
    if not any(run.status == "finished" for run in found.runs):
        raise NothingToDraw("no run of the comparison has finished; repeat its command to go on")
    percent = f"{found.level:.0%}"
    notes = [found.verdict, *found.notes]
    return Figure(
        name="comparison",
        title=f"Held-out {found.measure} by arm",
        subtitle=f"{len(found.seeds)} seeds; {percent} intervals over seeds; "
        f"reference {found.reference}",
        panels=(_arms(found, percent), *_differences(found, percent)),
        notes=tuple(note for note in notes if note),
    )


def _arms(found: Compared, percent: str) -> Panel:
    names = tuple(arm.name for arm in found.arms)
    runs = [
        (run, value)
        for run in found.runs
        if run.status == "finished" and (value := getattr(run, found.measure)) is not None
    ]
    points = Series(
        name="runs", kind="points", x=tuple(float(names.index(run.arm)) for run, _ in runs),
        y=tuple(value for _, value in runs), labels=tuple(f"seed {run.seed}" for run, _ in runs),
        colour=0, hollow=True,
    )  # fmt: skip
    spreads = [
        (float(place), spread)
        for place, arm in enumerate(found.arms)
        if (spread := getattr(arm, found.measure)) is not None
    ]
    means = Series(
        name=f"mean, {percent} interval", kind="errors", x=tuple(place for place, _ in spreads),
        y=tuple(spread.mean for _, spread in spreads),
        low=tuple(spread.low for _, spread in spreads),
        high=tuple(spread.high for _, spread in spreads),
    )  # fmt: skip
    return Panel(
        title=f"{found.measure} on held-out samples",
        x=Axis(name="arm", scale="category", categories=names),
        y=Axis(name=found.measure, unit=None if found.measure == "accuracy" else "nats"),
        series=(points, means),
    )


def _differences(found: Compared, percent: str) -> tuple[Panel, ...]:
    if not found.differences:
        return ()
    pairs = [each.by_seed for each in found.differences]
    bars = Series(
        name=f"mean difference, {percent} interval", kind="errors",
        x=tuple(map(float, range(len(pairs)))), y=tuple(pair.mean for pair in pairs),
        low=tuple(pair.low for pair in pairs), high=tuple(pair.high for pair in pairs),
        labels=tuple(_said(each) for each in found.differences), colour=3,
    )  # fmt: skip
    zero = Series(name="no difference", kind="rule", y=(0.0,), colour="muted", dashed=True)
    arms = Axis(name="arm", scale="category", categories=tuple(d.arm for d in found.differences))
    return (
        Panel(
            title=f"difference to {found.reference}, seed by seed",
            x=arms,
            y=Axis(name=f"difference in {found.measure}"),
            series=(zero, bars),
        ),
    )


def _said(difference: Difference) -> str:
    finding = (difference.finding or "too few seeds").replace("_", " ")
    p = difference.corrected_p
    return finding if p is None else f"{finding}, corrected p {p:.3g}"
