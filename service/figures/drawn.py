"""One panel of a figure on matplotlib's Axes: each series as one artist with its own numbers."""

import math
from collections.abc import Callable, Sequence
from typing import Any

from service.figures.figure import Axis, Number, Panel, Series
from service.figures.palette import Theme, mark, stops

_MARKERS = {
    "circle": "o", "rect": "s", "triangle": "^", "diamond": "D", "pin": "v", "arrow": "P",
    "roundRect": "X",
}  # fmt: skip
_MOST_TICKS = 24
_CLUSTER = 0.8
"""Share of a category's width that its bars take together."""


def draw_panel(axes: Any, panel: Panel, theme: Theme, *, narrow: bool) -> None:
    """Draw every series, then the axes. The id of an artist is the place of its series."""
    bars = [series for series in panel.series if series.kind == "bars"]
    for place, series in enumerate(panel.series):
        artist = _DRAW[series.kind](axes, panel, series, theme, bars)
        artist.set_gid(f"series-{place}")
    _set_axis(axes, panel.x, "x", _MOST_TICKS // 2 if narrow else _MOST_TICKS)
    _set_axis(axes, panel.y, "y", 250)
    axes.set_title(panel.title, parse_math=False)
    axes.set_axisbelow(True)
    if panel.heat is None:
        axes.grid(visible=True)
    if panel.heat is None and len(panel.series) > 1:
        below = -0.4 if _is_long(panel.x) else -0.22
        legend = axes.legend(
            loc="upper center", bbox_to_anchor=(0.5, below), ncols=1 if narrow else 2, frameon=False
        )
        for text in legend.get_texts():
            text.set_parse_math(False)


def _points(axes: Any, panel: Panel, series: Series, theme: Theme, _: Any) -> Any:
    colour = theme.colour(series.colour)
    return axes.scatter(
        _numbers(series.x), _numbers(series.y), s=9, marker=_MARKERS[mark(series.colour)],
        facecolors="none" if series.hollow else colour, edgecolors=colour, linewidths=0.7,
        label=series.name, zorder=3,
    )  # fmt: skip


def _line(axes: Any, panel: Panel, series: Series, theme: Theme, _: Any) -> Any:
    marked = panel.x.scale == "category" and len(series.x) <= _MOST_TICKS
    (line,) = axes.plot(
        _numbers(series.x), _numbers(series.y), label=series.name,
        color=theme.colour(series.colour), linestyle="--" if series.dashed else "-",
        linewidth=1.4 if series.thick else 0.8, zorder=4 if series.thick else 2,
        marker=_MARKERS[mark(series.colour)] if marked else None, markersize=2.5,
    )  # fmt: skip
    return line


def _step(axes: Any, panel: Panel, series: Series, theme: Theme, _: Any) -> Any:
    known = [value for value in series.y if value]
    base = min(known) / 2 if known and panel.y.scale == "log" else 0
    return axes.stairs(
        _numbers(series.y), _numbers(series.x), baseline=base, fill=True, label=series.name,
        color=theme.colour(series.colour), alpha=0.75,
    )  # fmt: skip


def _bars(axes: Any, panel: Panel, series: Series, theme: Theme, bars: Sequence[Series]) -> Any:
    width = _CLUSTER / len(bars)
    shift = (bars.index(series) - (len(bars) - 1) / 2) * width
    found = axes.bar(
        [x + shift for x in _numbers(series.x)], _numbers(series.y), width=width,
        label=series.name, color=theme.colour(series.colour),
    )  # fmt: skip
    if series.labels and len(series.labels) <= 2 * _MOST_TICKS:
        axes.bar_label(found, series.labels, fontsize=5, padding=1)
    return found.patches[0]


def _band(axes: Any, panel: Panel, series: Series, theme: Theme, _: Any) -> Any:
    low, high = _numbers(series.low)[0], _numbers(series.high)[0]
    return axes.axhspan(
        low, high, color=theme.colour(series.colour), alpha=0.15, linewidth=0, label=series.name
    )


def _errors(axes: Any, panel: Panel, series: Series, theme: Theme, _: Any) -> Any:
    """An error bar from low to high around y; none where there is no interval."""
    y, low, high = map(_numbers, (series.y, series.low, series.high))
    below = [at - end for at, end in zip(y, low, strict=True)]
    above = [end - at for at, end in zip(y, high, strict=True)]
    found = axes.errorbar(
        _numbers(series.x), y, yerr=[below, above], fmt=_MARKERS[mark(series.colour)],
        markersize=2.5, capsize=2, linewidth=0.8, color=theme.colour(series.colour),
        label=series.name, zorder=4,
    )  # fmt: skip
    return found.lines[0]


def _heat(axes: Any, panel: Panel, series: Series, theme: Theme, _: Any) -> Any:
    from matplotlib.colors import LinearSegmentedColormap

    assert panel.heat is not None
    grid = [[math.nan] * len(panel.x.categories) for _ in panel.y.categories]
    for x, y, value in zip(*map(_numbers, (series.x, series.y, series.values)), strict=True):
        grid[int(y)][int(x)] = value
    image = axes.imshow(
        grid, aspect="auto", interpolation="nearest", vmin=panel.heat.low, vmax=panel.heat.high,
        cmap=LinearSegmentedColormap.from_list(panel.heat.name, stops(panel.heat)),
    )  # fmt: skip
    axes.figure.colorbar(image, ax=axes, label=panel.heat.name, pad=0.01)
    return image


def _rule(axes: Any, panel: Panel, series: Series, theme: Theme, _: Any) -> Any:
    style: dict[str, Any] = {
        "color": theme.colour(series.colour), "linestyle": "--" if series.dashed else "-",
        "linewidth": 0.9, "label": series.name, "zorder": 2.5,
    }  # fmt: skip
    if series.x:
        return axes.axvline(_numbers(series.x)[0], **style)
    return axes.axhline(_numbers(series.y)[0], **style)


_DRAW: dict[str, Callable[[Any, Panel, Series, Theme, Sequence[Series]], Any]] = {
    "points": _points, "line": _line, "step": _step, "bars": _bars, "band": _band,
    "errors": _errors, "heat": _heat, "rule": _rule,
}  # fmt: skip


def _set_axis(axes: Any, axis: Axis, which: str, most: int) -> None:
    side = getattr(axes, f"{which}axis")
    side.set_label_text(axis.label, parse_math=False)
    if axis.scale == "log":
        getattr(axes, f"set_{which}scale")("log")
    if axis.low is not None and axis.high is not None:
        getattr(axes, f"set_{which}lim")(axis.low, axis.high)
    if axis.scale == "category":
        count = len(axis.categories)
        stride = max(1, -(-count // most))
        places = list(range(0, count, stride))
        long = which == "x" and _is_long(axis)
        side.set_ticks(
            places, [axis.categories[place] for place in places],
            rotation=30 if long else 0, parse_math=False,
            ha="right" if long or which == "y" else "center",
        )  # fmt: skip
        ends = (-0.6, count - 0.4)
        getattr(axes, f"set_{which}lim")(*(reversed(ends) if axis.reverse else ends))


def _is_long(axis: Axis) -> bool:
    """Whether names of categories need to be turned to stand beside each other."""
    return any(len(name) > 6 for name in axis.categories)


def _numbers(values: Sequence[Number]) -> list[float]:
    """NaN where there is no number."""
    return [math.nan if value is None else value for value in values]
