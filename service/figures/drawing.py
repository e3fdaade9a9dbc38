"""A figure as SVG, PNG or PDF, by matplotlib: publication size, the same bytes every time."""

import io
import math
from functools import cache
from threading import Lock
from typing import TYPE_CHECKING, Any, Literal

from service.figures.drawn import draw_panel
from service.figures.errors import FormatUnavailable
from service.figures.figure import Figure, Panel
from service.figures.palette import THEMES, Theme, ThemeName

if TYPE_CHECKING:
    from matplotlib.figure import Figure as Canvas

Format = Literal["svg", "png", "pdf"]
WidthName = Literal["single", "double"]

WIDTHS: dict[WidthName, float] = {"single": 3.4, "double": 7.0}
"""Inches: one column of a paper, or two."""

DPI = 300
_HASH_SALT = "tailora"
_METADATA: dict[Format, dict[str, Any]] = {
    "svg": {"Date": None},
    "png": {"Software": None},
    "pdf": {"CreationDate": None, "Producer": None, "Creator": None},
}
_LOCK = Lock()
"""matplotlib's settings are the process's."""


def draw(
    figure: Figure, form: Format, *, theme: ThemeName = "light", width: WidthName = "double"
) -> bytes:
    """The file. Fonts are embedded. Raises FormatUnavailable without matplotlib."""
    with _LOCK, _settings(THEMES[theme]):
        canvas = make_canvas(figure, THEMES[theme], WIDTHS[width])
        content = io.BytesIO()
        metadata = {"Title": figure.title, **_METADATA[form]}
        canvas.savefig(content, format=form, dpi=DPI, metadata=metadata)
    return content.getvalue()


def make_canvas(figure: Figure, theme: Theme, width: float) -> "Canvas":
    """The figure in matplotlib's own terms: an Axes for each panel, in their order."""
    from matplotlib.figure import Figure as Canvas

    columns = 1 if width < WIDTHS["double"] else min(figure.columns, len(figure.panels))
    rows = math.ceil(len(figure.panels) / columns)
    heights = [
        max(_height(panel, width / columns) for panel in figure.panels[row * columns :][:columns])
        for row in range(rows)
    ]
    lines = _lines(figure, width)
    extra = 0.17 * len(lines) + 0.1
    canvas = Canvas(figsize=(width, sum(heights) + extra), layout="constrained")
    grid = canvas.add_gridspec(rows, columns, height_ratios=heights)
    for place, panel in enumerate(figure.panels):
        axes = canvas.add_subplot(grid[place // columns, place % columns])
        draw_panel(axes, panel, theme, narrow=width / columns < WIDTHS["double"])
    canvas.suptitle("\n".join(lines), fontsize=8, x=0.01, ha="left", parse_math=False)
    _settle(canvas)
    return canvas


def _settle(canvas: "Canvas") -> None:
    """Lay out once; the solver's last digits differ from run to run, so they are cut off."""
    canvas.draw_without_rendering()
    canvas.set_layout_engine("none")
    for axes in canvas.axes:
        left, bottom, width, height = (round(each, 5) for each in axes.get_position().bounds)
        axes.set_position((left, bottom, width, height))


def _height(panel: Panel, width: float) -> float:
    """Inches; a category axis upwards needs room for its names."""
    legend = 0.09 * len(panel.series)
    rows = len(panel.y.categories) if panel.y.scale == "category" else 0
    return max(min(0.62 * width, 2.8) + legend, min(0.12 * rows, 20.0) + 0.6)


def _lines(figure: Figure, width: float) -> list[str]:
    """Title, subtitle and notes, wrapped to the width."""
    from textwrap import wrap

    texts = (figure.title, figure.subtitle, *figure.notes)
    return [line for text in texts for line in wrap(text, int(width * 17))]


@cache
def check_drawing() -> None:
    """Raise FormatUnavailable where matplotlib is not installed."""
    try:
        import matplotlib  # noqa: F401
    except ImportError as error:
        raise FormatUnavailable(
            "svg, png and pdf are drawn by matplotlib, which is not installed: "
            "`pip install 'tailora[plots]'`, or use json, echarts or csv"
        ) from error


def _settings(theme: Theme) -> Any:
    """The settings of a drawing, as a context."""
    check_drawing()
    from matplotlib import rc_context

    return rc_context({
        "font.family": ["DejaVu Sans"], "font.size": 7, "axes.titlesize": 7.5,
        "legend.fontsize": 6, "xtick.labelsize": 6, "ytick.labelsize": 6,
        "svg.hashsalt": _HASH_SALT, "svg.fonttype": "path", "pdf.fonttype": 42,
        "figure.facecolor": theme.background, "savefig.facecolor": theme.background,
        "axes.facecolor": theme.background, "text.color": theme.ink,
        "axes.edgecolor": theme.ink, "axes.labelcolor": theme.ink, "axes.titlecolor": theme.ink,
        "xtick.color": theme.ink, "ytick.color": theme.ink, "grid.color": theme.grid,
        "legend.facecolor": theme.background, "legend.edgecolor": theme.grid,
        "axes.linewidth": 0.6, "grid.linewidth": 0.4,
    })  # fmt: skip
