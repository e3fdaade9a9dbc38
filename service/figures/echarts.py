"""A figure as the option of Apache ECharts 6: JSON without functions, the same numbers."""

import math
from typing import Any

from service.figures.drawing import WidthName
from service.figures.echarts_series import option_of
from service.figures.figure import Axis, Figure, Panel
from service.figures.palette import THEMES, Theme, ThemeName, stops

Option = dict[str, Any]

HEADER, LINE, PANEL, LEGEND, ROW, GAP = 34, 17, 260, 22, 13, 62
MOST_ROWS = 60
"""Pixels: of titles, a line of text, a panel, a line of its legend, a row of categories, and the
names of an axis; more rows of categories share the height of so many.
"""

_TYPES = {"linear": "value", "log": "log", "category": "category"}
_LEGENDS_A_LINE = 4
_SHORT = 6


def option(figure: Figure, *, theme: ThemeName = "light", width: WidthName = "double") -> Option:
    """What `chart.setOption` takes. Positions are shares of the chart's box, of which `pixels` is
    the height that suits; its width is the page's, where `single` is that of a phone.
    """
    figure = _fitted(figure, width)
    colours = THEMES[theme]
    boxes = _boxes(figure, width)
    places = range(len(figure.panels))
    return {
        "backgroundColor": colours.background,
        "textStyle": {"color": colours.ink},
        "animation": False,
        "aria": {"enabled": True, "label": {"description": _described(figure)}},
        "title": [
            _title(figure, colours),
            *(_panel_title(panel, box, colours)
              for panel, box in zip(figure.panels, boxes, strict=True) if panel.title),
        ],
        "tooltip": {"trigger": "item", "confine": True, "backgroundColor": colours.background,
                    "textStyle": {"color": colours.ink}},
        "toolbox": {"feature": {"dataZoom": {"filterMode": "none"}, "restore": {}, "saveAsImage": {
            "name": f"tailora-{figure.name}"}}, "right": 8,
            "iconStyle": {"borderColor": colours.muted}},
        "legend": [
            _legend(panel, box, colours)
            for panel, box in zip(figure.panels, boxes, strict=True) if panel.heat is None
        ],
        "grid": [box["grid"] for box in boxes],
        "xAxis": [_axis(panel.x, place, colours) | {"nameGap": 26}
                  for place, panel in enumerate(figure.panels)],
        "yAxis": [_upwards(panel, _axis(panel.y, place, colours))
                  for place, panel in enumerate(figure.panels)],
        "series": [
            option_of(series, figure.panels[place], place, colours)
            for place in places for series in figure.panels[place].series
        ],
        **_visual_maps(figure, boxes, colours),
    }  # fmt: skip


def pixels(figure: Figure, width: WidthName = "double") -> int:
    """The height that suits."""
    figure = _fitted(figure, width)
    return _header(figure) + sum(_heights(figure))


def _fitted(figure: Figure, width: WidthName) -> Figure:
    """On a narrow page panels lie below each other."""
    return figure.model_copy(update={"columns": 1}) if width == "single" else figure


def _header(figure: Figure) -> int:
    return HEADER + LINE * len([line for line in (figure.subtitle, *figure.notes) if line])


def _heights(figure: Figure) -> list[int]:
    """Of each row of panels, titles, names and legends included."""
    heights = [_height(panel) for panel in figure.panels]
    step = figure.columns
    return [max(heights[place : place + step]) for place in range(0, len(heights), step)]


def _height(panel: Panel) -> int:
    rows = len(panel.y.categories) if panel.y.scale == "category" else 0
    return max(PANEL, ROW * min(rows, MOST_ROWS)) + GAP + HEADER + _legend_height(panel)


def _legend_height(panel: Panel) -> int:
    return 0 if panel.heat else LEGEND * math.ceil(len(panel.series) / _LEGENDS_A_LINE)


def _boxes(figure: Figure, page: WidthName) -> list[Option]:
    """Where each panel lies, as shares of the chart's box."""
    total, heights, boxes = pixels(figure), _heights(figure), []
    width = 100 / figure.columns
    for place, panel in enumerate(figure.panels):
        row, column = divmod(place, figure.columns)
        top = _header(figure) + sum(heights[:row])
        inner = heights[row] - GAP - HEADER - _legend_height(panel)
        left = column * width
        names = max(map(len, panel.y.categories), default=0)
        cramped = figure.columns > 1 or (page == "single" and names > _SHORT)
        wide = (0.3 if cramped else 0.15) if panel.y.scale == "category" else 0.1
        wide = max(wide, 0.16) if figure.columns > 1 else wide
        right = 0.12 if panel.heat else 0.03
        boxes.append({
            "top": _share(top, total),
            "left": f"{left + 0.02 * width:.4g}%",
            "middle": f"{left + 0.5 * width:.4g}%",
            "legend": _share(top + HEADER + inner + GAP - 4, total),
            "map": {"top": _share(top + HEADER, total), "left": f"{left + 0.9 * width:.4g}%"},
            "grid": {
                "top": _share(top + HEADER, total),
                "height": _share(inner, total),
                "left": f"{left + wide * width:.4g}%",
                "width": f"{(1 - wide - right) * width:.4g}%",
            },
        })  # fmt: skip
    return boxes


def _share(size: float, total: float) -> str:
    return f"{100 * size / total:.4g}%"


def _title(figure: Figure, colours: Theme) -> Option:
    lines = [line for line in (figure.subtitle, *figure.notes) if line]
    return {
        "text": figure.title, "subtext": "\n".join(lines), "left": 8, "top": 4, "itemGap": 6,
        "textStyle": {"color": colours.ink, "fontSize": 14},
        "subtextStyle": {"color": colours.muted, "fontSize": 12, "lineHeight": LINE},
    }  # fmt: skip


def _panel_title(panel: Panel, box: Option, colours: Theme) -> Option:
    return {
        "text": panel.title, "left": box["middle"], "top": box["top"], "textAlign": "center",
        "textStyle": {"color": colours.ink, "fontSize": 12, "fontWeight": "normal"},
    }  # fmt: skip


def _legend(panel: Panel, box: Option, colours: Theme) -> Option:
    return {
        "data": [series.name for series in panel.series], "top": box["legend"],
        "left": box["left"], "type": "scroll" if len(panel.series) > 3 * _LEGENDS_A_LINE
        else "plain", "textStyle": {"color": colours.ink, "fontSize": 11}, "itemHeight": 10,
        "itemWidth": 14,
    }  # fmt: skip


def _axis(axis: Axis, place: int, colours: Theme) -> Option:
    found: Option = {
        "gridIndex": place, "type": _TYPES[axis.scale], "name": axis.label,
        "nameLocation": "middle", "inverse": axis.reverse,
        "nameTextStyle": {"color": colours.ink}, "axisLabel": {"color": colours.ink},
        "axisLine": {"show": True, "lineStyle": {"color": colours.ink}},
        "splitLine": {"show": axis.scale != "category", "lineStyle": {"color": colours.grid}},
    }  # fmt: skip
    if axis.scale == "category":
        found["data"] = list(axis.categories)
    else:
        found["scale"] = True
    if axis.low is not None and axis.high is not None:
        found |= {"min": axis.low, "max": axis.high}
        found["axisLabel"] |= {
            "showMinLabel": False, "showMaxLabel": False, "width": 44, "overflow": "truncate",
        }  # fmt: skip
    return found


def _upwards(panel: Panel, axis: Option) -> Option:
    """Names of categories are cut to the room beside the panel; bars start at zero."""
    if panel.y.scale == "category":
        where = "start" if panel.y.reverse else "end"
        label = axis["axisLabel"] | {"width": 110, "overflow": "truncate"}
        return axis | {"nameLocation": where, "nameGap": 8, "axisLabel": label}
    bars = any(series.kind == "bars" for series in panel.series)
    return axis | {"nameGap": 48, **({"scale": False} if bars else {})}


def _visual_maps(figure: Figure, boxes: list[Option], colours: Theme) -> Option:
    """The colour scale of every heat map; none where there is no heat map."""
    maps, number = [], 0
    for panel, box in zip(figure.panels, boxes, strict=True):
        for series in panel.series:
            if series.kind == "heat" and panel.heat is not None:
                maps.append({
                    "seriesIndex": number, "min": panel.heat.low, "max": panel.heat.high,
                    "calculable": True, "dimension": 2,
                    "inRange": {"color": list(stops(panel.heat))}, "orient": "vertical",
                    "textStyle": {"color": colours.ink}, **box["map"],
                })  # fmt: skip
            number += 1
    return {"visualMap": maps} if maps else {}


def _described(figure: Figure) -> str:
    """For readers of the page who do not see it."""
    panels = "; ".join(
        f"{panel.y.label} against {panel.x.label}: "
        f"{', '.join(series.name for series in panel.series)}"
        for panel in figure.panels
    )
    return ". ".join(part for part in (figure.title, figure.subtitle, panels) if part) + "."
