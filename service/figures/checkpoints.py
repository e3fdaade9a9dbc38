"""Alphas over a series of checkpoints."""

from statistics import fmean

from analyzer.series import Series as Checkpoints
from service.figures.errors import NothingToDraw
from service.figures.figure import Axis, Figure, Heat, Panel, Series
from service.figures.places import depth

MOST_LINES = 6
"""More checkpoints are drawn as a heat map."""


def checkpoints(series: Checkpoints) -> Figure:
    """The alpha of every layer in every checkpoint, and the mean over the layers.

    Raises NothingToDraw where no layer has an alpha.
    """
    if not any(alpha is not None for layer in series.layers for alpha in layer.alphas):
        raise NothingToDraw("no layer has an alpha in any checkpoint; try another estimator")
    axis, _ = depth((layer.stack, layer.layer) for layer in series.layers)
    names = _names(series)
    few = len(names) <= MOST_LINES
    return Figure(
        name="checkpoints",
        title="Alpha by layer over checkpoints",
        subtitle=f"by {series.settings.estimator}; {len(names)} checkpoints",
        panels=(
            _lines(series, axis, names) if few else _heat(series, axis, names),
            _means(series, names),
        ),
    )


def _names(series: Checkpoints) -> tuple[str, ...]:
    """The last part of each model, and its commit."""
    return tuple(
        f"{number}: {each.model.rstrip('/').rpartition('/')[2]}"
        + (f"@{each.revision[:7]}" if each.revision else "")
        for number, each in enumerate(series.checkpoints, 1)
    )


def _lines(series: Checkpoints, axis: Axis, names: tuple[str, ...]) -> Panel:
    x = tuple(map(float, range(len(series.layers))))
    lines = tuple(
        Series(
            name=name, kind="line", x=x, colour=place,
            y=tuple(layer.alphas[place] for layer in series.layers),
        )
        for place, name in enumerate(names)
    )  # fmt: skip
    return Panel(title="by layer", x=axis, y=Axis(name="alpha"), series=lines)


def _heat(series: Checkpoints, axis: Axis, names: tuple[str, ...]) -> Panel:
    cells = [
        (x, y, alpha)
        for y, layer in enumerate(series.layers)
        for x, alpha in enumerate(layer.alphas)
        if alpha is not None
    ]
    values = [alpha for *_, alpha in cells]
    cell = Series(
        name="alpha", kind="heat", x=tuple(float(x) for x, *_ in cells),
        y=tuple(float(y) for _, y, _ in cells), values=tuple(values),
    )  # fmt: skip
    return Panel(
        title="alpha by layer",
        x=Axis(name="checkpoint", scale="category", categories=names),
        y=axis.model_copy(update={"reverse": True}),
        series=(cell,),
        heat=Heat(name="alpha", low=min(values), high=max(values)),
    )


def _means(series: Checkpoints, names: tuple[str, ...]) -> Panel:
    columns = [[layer.alphas[place] for layer in series.layers] for place in range(len(names))]
    means = tuple(
        fmean(known) if (known := [a for a in column if a is not None]) else None
        for column in columns
    )
    line = Series(
        name="mean over layers", kind="line", x=tuple(map(float, range(len(names)))), y=means,
        thick=True,
    )  # fmt: skip
    axis = Axis(name="checkpoint", scale="category", categories=names)
    return Panel(title="mean over layers", x=axis, y=Axis(name="alpha"), series=(line,))
