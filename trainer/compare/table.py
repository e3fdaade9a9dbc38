"""An outcome as a table: its cells, and Markdown. No torch."""

from trainer.compare.intervals import Spread
from trainer.compare.results import Compared, ComparedArm, Difference

_NONE = "–"


def columns_of(found: Compared) -> list[str]:
    """The headings."""
    better = "higher is better" if found.measure == "accuracy" else "lower is better"
    return [
        "arm", "parameters", f"{found.measure} ({better})", f"difference to {found.reference}",
        "corrected p",
    ]  # fmt: skip


def rows_of(found: Compared) -> list[list[str]]:
    """A row for each arm."""
    differences = {each.arm: each for each in found.differences}
    return [_row(found, arm, differences.get(arm.name)) for arm in found.arms]


def title_of(found: Compared) -> str:
    """What the figures are."""
    return (
        f"held-out {found.measure}, mean over {len(found.seeds)} seeds "
        f"± half of the {found.level:.0%} interval"
    )


def to_markdown(found: Compared) -> str:
    """Table, notes and verdict."""
    columns = columns_of(found)
    rows = [columns, ["---", *["---:"] * (len(columns) - 1)], *rows_of(found)]
    table = "\n".join(f"| {' | '.join(row)} |" for row in rows)
    notes = "".join(f"- {note}\n" for note in found.notes)
    parts = [title_of(found), table, notes.rstrip(), found.verdict]
    return "\n\n".join(part for part in parts if part) + "\n"


def _row(found: Compared, arm: ComparedArm, difference: Difference | None) -> list[str]:
    size = arm.trainable_parameters
    figures = arm.accuracy if found.measure == "accuracy" else arm.loss
    return [
        arm.name,
        _NONE if size is None else f"{size:,}",
        _mean(figures, arm, len(found.seeds)),
        _difference(found, arm, difference),
        _NONE if difference is None or difference.corrected_p is None
        else f"{difference.corrected_p:.2g}",
    ]  # fmt: skip


def _mean(figures: Spread | None, arm: ComparedArm, seeds: int) -> str:
    short = "" if arm.finished == seeds else f" ({arm.finished} of {seeds} seeds)"
    if figures is None:
        return f"{_NONE}{short}"
    if figures.high is None:
        return f"{figures.mean:.4f}{short}"
    return f"{figures.mean:.4f} ± {figures.high - figures.mean:.4f}{short}"


def _difference(found: Compared, arm: ComparedArm, difference: Difference | None) -> str:
    if arm.failed:
        return f"{arm.failed} failed"
    if arm.name == found.reference:
        return "reference"
    if difference is None:
        return _NONE
    by = difference.by_seed
    if by.low is None or by.high is None:
        return f"{by.mean:+.4f}"
    return f"{by.mean:+.4f} [{by.low:+.4f}, {by.high:+.4f}]"
