"""How far the work is, on stderr: bars on a terminal, else a line every ten seconds."""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from service.cli.output import stderr

if TYPE_CHECKING:
    from analyzer.progress import Progress, Report
    from service.client.envelope import Envelope
    from service.client.waiting import Watch

_EVERY_SECONDS = 10.0

Show = Callable[[int, int | None, str], None]
"""Shows matrices done, matrices in all where that is known, and what is being done."""


@contextmanager
def progress(quiet: bool) -> Iterator["Report | None"]:
    """A function that shows each step of an analysis; None where nothing is to be shown."""
    with _shown(quiet) as show:
        if show is None:
            yield None
        else:
            yield lambda step: show(step.done, step.total, _current(step))


@contextmanager
def job_progress(quiet: bool) -> Iterator["Watch"]:
    """A function that shows each state of a job of the service."""
    with _shown(quiet) as show:

        def watch(found: "Envelope") -> None:
            step = found.progress
            if show is not None and step is not None:
                doing = step.phase if found.status == "running" and step.phase else found.status
                show(step.done or 0, step.total or None, f"{doing}, {found.id}")

        yield watch


@contextmanager
def _shown(quiet: bool) -> Iterator[Show | None]:
    if quiet:
        yield None
    elif stderr().is_terminal:
        with _bars() as show:
            yield show
    else:
        yield _lines()


@contextmanager
def _bars() -> Iterator[Show]:
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

        def show(done: int, total: int | None, current: str) -> None:
            bars.update(task, total=total, completed=done, current=current)

        yield show


def _lines() -> Show:
    console = stderr()
    last = time.monotonic()

    def show(done: int, total: int | None, current: str) -> None:
        nonlocal last
        if time.monotonic() - last >= _EVERY_SECONDS:
            last = time.monotonic()
            wanted = "?" if total is None else total
            console.print(f"{done}/{wanted} matrices, {current}", highlight=False, soft_wrap=True)

    return show


def _current(step: "Progress") -> str:
    alpha = "" if step.alpha is None else f" alpha {step.alpha:.2f}"
    return f"{step.bytes_done / 1e6:,.0f} of {step.bytes_total / 1e6:,.0f} MB, {step.matrix}{alpha}"
