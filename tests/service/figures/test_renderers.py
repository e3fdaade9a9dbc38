"""What matplotlib draws and what ECharts is told are the figure's own numbers."""

import json
import math
import xml.etree.ElementTree as ElementTree

import numpy as np
import pytest

from service.figures.catalogue import CATALOGUE
from service.figures.drawing import WIDTHS, draw, make_canvas
from service.figures.echarts import option, pixels
from service.figures.figure import Axis, Figure, Panel, Series
from service.figures.palette import THEMES
from tests.service.figures.conftest import CATALOGUED

LIGHT = THEMES["light"]


def same(found, expected) -> bool:
    """Numbers with None for NaN; ends of bars are sums, so the last digit may differ."""
    plain = [None if value is None or math.isnan(value) else float(value) for value in found]
    return plain == [
        None if value is None else pytest.approx(value, rel=1e-12, abs=0) for value in expected
    ]


def drawn(axes, place: int, series: Series):
    """The numbers of an artist of matplotlib: x, y, low, high, values."""
    gid = f"series-{place}"
    if series.kind == "bars":
        bars = next(found for found in axes.containers if found.patches[0].get_gid() == gid)
        shift = bars[0].get_center()[0] - series.x[0]
        x = [round(bar.get_x() + bar.get_width() / 2 - shift, 9) for bar in bars]
        return x, [bar.get_height() for bar in bars], (), (), ()
    if series.kind == "errors":
        found = next(each for each in axes.containers if each.lines[0].get_gid() == gid)
        line, _, (bars,) = found.lines
        ends = [
            segment[:, 1] if len(segment) else (math.nan, math.nan)
            for segment in bars.get_segments()
        ]
        return line.get_xdata(), line.get_ydata(), [e[0] for e in ends], [e[1] for e in ends], ()
    (artist,) = axes.findobj(lambda each: each.get_gid() == gid)
    if series.kind == "points":
        offsets = artist.get_offsets()
        return offsets[:, 0], offsets[:, 1], (), (), ()
    if series.kind == "line":
        return artist.get_xdata(), artist.get_ydata(), (), (), ()
    if series.kind == "step":
        data = artist.get_data()
        return data.edges, data.values, (), (), ()
    if series.kind == "band":
        return (), (), [artist.get_y()], [artist.get_y() + artist.get_height()], ()
    if series.kind == "rule":
        return artist.get_xdata()[: len(series.x)], artist.get_ydata()[: len(series.y)], (), (), ()
    cells = artist.get_array()
    values = [cells[int(y), int(x)] for x, y in zip(series.x, series.y, strict=True)]
    assert np.ma.count(cells) == len(values)
    return series.x, series.y, (), (), values


def told(found: dict, series: Series):
    """The same of a series of ECharts."""
    rows = [item["value"] if isinstance(item, dict) else item for item in found["data"]]
    x, y = [row[0] for row in rows], [row[1] for row in rows]
    if series.kind == "step":
        assert y[::2] == y[1::2]
        assert x[1:-1:2] == x[2::2]
        return [*x[::2], x[-1]], y[::2], (), (), ()
    if series.kind == "errors":
        low, high = [row[2] for row in rows], [row[3] for row in rows]
        lines = [[end["coord"] for end in pair] for pair in found["markLine"]["data"]]
        known = [row for row in rows if None not in row]
        assert lines == [[[row[0], row[2]], [row[0], row[3]]] for row in known]
        return x, y, low, high, ()
    if series.kind == "band":
        ((low, high),) = found["markArea"]["data"]
        return (), (), [low["yAxis"]], [high["yAxis"]], ()
    if series.kind == "rule":
        (at,) = found["markLine"]["data"]
        return [at["xAxis"]] if series.x else (), [] if series.x else [at["yAxis"]], (), (), ()
    return x, y, (), (), [row[2] for row in rows] if series.kind == "heat" else ()


def test_there_is_a_figure_of_every_name(figures):
    assert set(figures) == {name for names in CATALOGUE.values() for name in names}
    assert set(figures) == set(CATALOGUED)


@pytest.mark.parametrize("name", CATALOGUED)
def test_both_renderers_show_the_same_numbers(figures, name):
    figure = figures[name]
    canvas = make_canvas(figure, LIGHT, WIDTHS["double"])
    chart = json.loads(json.dumps(option(figure), allow_nan=False))
    number = 0
    for panel, axes in zip(figure.panels, panels_of(canvas), strict=True):
        assert axes.get_xlabel() == panel.x.label == chart["xAxis"][axes_of(chart, number)]["name"]
        assert axes.get_ylabel() == panel.y.label
        for side in ("x", "y"):
            axis = getattr(panel, side)
            scale = {"category": "linear"}.get(axis.scale, axis.scale)
            assert getattr(axes, f"get_{side}scale")() == scale
            kind = {"linear": "value"}.get(axis.scale, axis.scale)
            assert chart[f"{side}Axis"][axes_of(chart, number)]["type"] == kind
        for place, series in enumerate(panel.series):
            of_chart = chart["series"][number]
            assert of_chart["name"] == series.name
            expected = (series.x, series.y, series.low, series.high, series.values)
            for mine, theirs, record in zip(
                drawn(axes, place, series), told(of_chart, series), expected, strict=True
            ):
                assert same(mine, record), (series.name, "matplotlib")
                assert same(theirs, record), (series.name, "ECharts")
            number += 1
    assert number == len(chart["series"])


def panels_of(canvas) -> list:
    return [axes for axes in canvas.axes if axes.get_label() != "<colorbar>"]


def axes_of(chart: dict, number: int) -> int:
    return chart["series"][number]["xAxisIndex"]


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_files_are_whole_and_the_same_each_time(figures, theme):
    figure = figures["alphas"]
    for form, start in (("png", b"\x89PNG\r\n\x1a\n"), ("pdf", b"%PDF-"), ("svg", b"<?xml")):
        made = draw(figure, form, theme=theme, width="single")
        assert made.startswith(start)
        assert draw(figure, form, theme=theme, width="single") == made
    text = draw(figure, "svg", theme=theme, width="double").decode()
    root = ElementTree.fromstring(text)
    assert root.attrib["width"] == "504pt"
    assert "<!-- layer -->" in text
    assert "<!-- alpha -->" in text
    assert THEMES[theme].background in text
    assert "<dc:date>" not in text
    fonts = draw(figure, "pdf", theme=theme)
    assert b"/FontFile2" in fonts, "TrueType, embedded"


def test_gaps_stay_gaps():
    line = Series(name="a", kind="line", x=(0.0, 1.0, 2.0), y=(1.0, None, 3.0))
    errors = Series(
        name="b", kind="errors", x=(0.0, 1.0), y=(2.0, 2.0), low=(1.0, None), high=(3.0, None)
    )
    panel = Panel(x=Axis(name="x"), y=Axis(name="y"), series=(line, errors))
    figure = Figure(name="training", title="gaps", panels=(panel,))
    (axes,) = make_canvas(figure, LIGHT, 3.4).axes
    assert math.isnan(axes.lines[0].get_ydata()[1])
    found = option(figure)["series"]
    assert found[0]["data"][1] == [1.0, None]
    for place, series in enumerate(panel.series):
        expected = (series.x, series.y, series.low, series.high, series.values)
        for numbers in (drawn(axes, place, series), told(found[place], series)):
            assert all(map(same, numbers, expected))
    assert '"y":[1.0,null,3.0]' in figure.model_dump_json()
    assert draw(figure, "svg").startswith(b"<?xml")


def test_an_option_describes_itself(figures):
    chart = option(figures["esd"], theme="dark")
    assert chart["backgroundColor"] == THEMES["dark"].background
    described = chart["aria"]["label"]["description"]
    assert "density (share per λ) against eigenvalue λ: eigenvalues" in described
    assert pixels(figures["esds"]) > pixels(figures["esd"])
    heat = option(figures["load"])["visualMap"][0]
    assert (heat["seriesIndex"], heat["min"]) == (0, 0.0)
    assert len(heat["inRange"]["color"]) > 10
