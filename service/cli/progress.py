"""Progress of an analysis on stderr: bars on a terminal, else a line every ten seconds."""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from service.cli.output import stderr

if TYPE_CHECKING:
    from analyzer.progress import Progress, Report

_EVERY_SECONDS = 10.0


@contextmanager
def progress(quiet: bool) -> Iterator["Report | None"]:
    """A function that shows each step of an analysis; None where nothing is to be shown."""
    console = stderr()
    if quiet:
        yield None
    elif console.is_terminal:
        with _bars() as report:
            yield report
    else:
        yield _lines()


@contextmanager
def _bars() -> Iterator["Report"]:
    from rich.progress import (
        BarColumn,
        MofNCompleteColumn,
        TextColumn,
        TimeRemainingColumn,
    )
    from rich.progress import Progress as Bars

    bars = Bars(
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeRemainingColumn(),
        TextColumn("{task.fields[current]}"),
        console=stderr(),
        transient=True,
    )
    with bars:
        task = bars.add_task("matrices", total=None, current="")

        def report(step: "Progress") -> None:
            bars.update(task, total=step.total, completed=step.done, current=_current(step))

        yield report


def _lines() -> "Report":
    console = stderr()
    last = time.monotonic()

    def report(step: "Progress") -> None:
        nonlocal last
        if time.monotonic() - last >= _EVERY_SECONDS:
            last = time.monotonic()
            console.print(
                f"{step.done}/{step.total} matrices, {_current(step)}",
                highlight=False,
                soft_wrap=True,
            )

    return report


def _current(step: "Progress") -> str:
    alpha = "" if step.alpha is None else f" alpha {step.alpha:.2f}"
    return f"{step.bytes_done / 1e6:,.0f} of {step.bytes_total / 1e6:,.0f} MB, {step.matrix}{alpha}"
