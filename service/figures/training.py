"""How a training goes: loss, learning rate and speed by step, from its lines of metrics."""

from collections.abc import Mapping, Sequence
from math import isfinite
from typing import Any

from service.figures.errors import NothingToDraw
from service.figures.figure import Axis, Figure, Number, Panel, Series

Lines = Sequence[Mapping[str, Any]]
SPAN = 0.05
"""Of the steps, over which the loss is smoothed."""

_STEP = Axis(name="step", unit="optimiser steps")


def training(lines: Lines, title: str = "training") -> Figure:
    """Loss as it was and smoothed, learning rate, and tokens a second.

    `lines` are those of metrics.jsonl. Raises NothingToDraw where there are none.
    """
    if not lines:
        raise NothingToDraw("the training has no metrics yet; ask again after its first steps")
    steps = tuple(float(line["step"]) for line in lines)
    losses = column(lines, "loss")
    span = max(2, round(SPAN * len(lines)))
    loss = (
        Series(name="loss", kind="line", x=steps, y=losses, colour="muted"),
        Series(
            name=f"smoothed (exponential mean, span {span} lines)", kind="line", x=steps,
            y=smoothed(losses, span), colour=0, thick=True,
        ),
    )  # fmt: skip
    last = lines[-1]
    known = [value for value in losses if value is not None]
    subtitle = f"step {last['step']} of {last.get('steps', '?')}"
    if known:
        subtitle += f", last loss {known[-1]:.4g}, lowest {min(known):.4g}"
    return Figure(
        name="training",
        title=title,
        subtitle=subtitle,
        panels=(
            Panel(title="loss", x=_STEP, y=Axis(name="loss", unit="nats"), series=loss),
            _alone(lines, "learning_rate", Axis(name="learning rate"), 1),
            _alone(lines, "tokens_per_second", Axis(name="speed", unit="tokens/s"), 2),
        ),
    )


def column(lines: Lines, name: str) -> tuple[Number, ...]:
    """One number of every line; None where it is missing or not finite."""
    return tuple(_finite(line.get(name)) for line in lines)


def smoothed(values: Sequence[Number], span: int) -> tuple[Number, ...]:
    """The exponential mean with weights (1 − 2/(span + 1))^age that sum to 1; gaps stay gaps."""
    keep = 1 - 2 / (span + 1)
    total = weight = 0.0
    found: list[Number] = []
    for value in values:
        total, weight = total * keep, weight * keep
        if value is None:
            found.append(None)
            continue
        total, weight = total + value, weight + 1.0
        found.append(total / weight)
    return tuple(found)


def _alone(lines: Lines, name: str, axis: Axis, colour: int) -> Panel:
    x = tuple(float(line["step"]) for line in lines)
    series = Series(name=axis.name, kind="line", x=x, y=column(lines, name), colour=colour)
    return Panel(title=axis.name, x=_STEP, y=axis, series=(series,))


def _finite(value: Any) -> Number:
    return float(value) if isinstance(value, int | float) and isfinite(value) else None
