"""One series of a figure as a series of Apache ECharts 6."""

from collections.abc import Callable, Iterator
from typing import Any

from service.figures.figure import Number, Panel, Series
from service.figures.palette import Theme, mark

Option = dict[str, Any]

_MOST_SYMBOLS = 60
_MOST_LABELS = 60
_CAP = [9, 1.5]


def option_of(series: Series, panel: Panel, place: int, theme: Theme) -> Option:
    """The series, in the panel of that place."""
    colour = theme.colour(series.colour)
    return {
        "name": series.name,
        "xAxisIndex": place,
        "yAxisIndex": place,
        "color": colour,
        **_KINDS[series.kind](series, panel, colour),
    }


def _points(series: Series, panel: Panel, colour: str) -> Option:
    style = {"color": "transparent", "borderColor": colour, "borderWidth": 1.5}
    return {
        "type": "scatter",
        "symbol": mark(series.colour),
        "symbolSize": 8,
        "data": list(_items(series)),
        "itemStyle": style if series.hollow else {"color": colour},
    }


def _line(series: Series, panel: Panel, colour: str) -> Option:
    return {
        "type": "line",
        "symbol": mark(series.colour),
        "showSymbol": panel.x.scale == "category" and len(series.x) <= _MOST_SYMBOLS,
        "connectNulls": False,
        "data": list(_items(series)),
        "lineStyle": {"width": 2.5 if series.thick else 1.2, "color": colour, **_dash(series)},
    }


def _step(series: Series, panel: Panel, colour: str) -> Option:
    """Two points for each bin, so that the lines are level over it."""
    data: list[list[Number]] = []
    for left, right, y in zip(series.x, series.x[1:], series.y, strict=False):
        data += [[left, y], [right, y]]
    return {
        "type": "line", "showSymbol": False, "connectNulls": False, "data": data,
        "lineStyle": {"width": 1, "color": colour},
        "areaStyle": {"color": colour, "opacity": 0.6, "origin": "start"},
    }  # fmt: skip


def _bars(series: Series, panel: Panel, colour: str) -> Option:
    few = len(series.labels) <= _MOST_LABELS
    data: list[Any] = [
        {
            "value": [x, y],
            "label": {"show": few, "position": "top", "formatter": label},
        }
        for x, y, label in zip(series.x, series.y, series.labels, strict=False)
    ] or [[x, y] for x, y in zip(series.x, series.y, strict=True)]
    return {"type": "bar", "data": data, "itemStyle": {"color": colour}}


def _band(series: Series, panel: Panel, colour: str) -> Option:
    ends = [{"yAxis": series.low[0]}, {"yAxis": series.high[0]}]
    area = {"silent": True, "data": [ends], "itemStyle": {"color": colour, "opacity": 0.15}}
    return {"type": "line", "data": [], "markArea": area}


def _errors(series: Series, panel: Panel, colour: str) -> Option:
    """The interval is a line with caps, which the axis has room for; the point tells it too."""
    data = [
        {"value": list(row), **({"name": series.labels[place]} if series.labels else {})}
        for place, row in enumerate(zip(series.x, series.y, series.low, series.high, strict=True))
    ]
    intervals = [
        [{"coord": [x, low]}, {"coord": [x, high]}]
        for x, low, high in zip(series.x, series.low, series.high, strict=True)
        if None not in (low, high)
    ]
    return {
        "type": "scatter", "symbol": mark(series.colour), "symbolSize": 6, "data": data,
        "itemStyle": {"color": colour}, "dimensions": ["x", "y", "low", "high"],
        "encode": {"x": 0, "y": [1, 2, 3], "tooltip": [1, 2, 3]},
        "markLine": {
            "silent": True, "symbol": ["rect", "rect"], "symbolSize": _CAP, "data": intervals,
            "lineStyle": {"type": "solid", "color": colour, "width": 1.2},
            "label": {"show": False},
        },
    }  # fmt: skip


def _heat(series: Series, panel: Panel, colour: str) -> Option:
    cells = zip(series.x, series.y, series.values, strict=True)
    return {"type": "heatmap", "data": [list(cell) for cell in cells]}


def _rule(series: Series, panel: Panel, colour: str) -> Option:
    at = {"xAxis": series.x[0]} if series.x else {"yAxis": series.y[0]}
    style = {"color": colour, "width": 1.5, "type": "dashed" if series.dashed else "solid"}
    return {
        "type": "line", "data": [], "lineStyle": style,
        "markLine": {
            "silent": True, "symbol": "none", "data": [at], "label": {"show": False},
            "lineStyle": style,
        },
    }  # fmt: skip


def _dash(series: Series) -> Option:
    return {"type": "dashed"} if series.dashed else {}


def _items(series: Series) -> Iterator[Any]:
    for place, (x, y) in enumerate(zip(series.x, series.y, strict=True)):
        name = series.labels[place] if series.labels else None
        yield [x, y] if name is None else {"name": name, "value": [x, y]}


_KINDS: dict[str, Callable[[Series, Panel, str], Option]] = {
    "points": _points, "line": _line, "step": _step, "bars": _bars, "band": _band,
    "errors": _errors, "heat": _heat, "rule": _rule,
}  # fmt: skip
