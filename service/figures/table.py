"""A figure's numbers as CSV, one row for each mark."""

import csv
import io
from collections.abc import Iterator

from service.figures.figure import Figure, Number, Panel, Series

COLUMNS = (
    "panel", "series", "kind", "label", "x", "x_end", "x_category", "y", "y_category", "low",
    "high", "value",
)  # fmt: skip
"""`x_end` is the right edge of a bin; empty cells are numbers that are not there."""

Row = dict[str, str | Number]


def csv_of(figure: Figure) -> str:
    """The table with its header. Numbers are written so that they are read back unchanged."""
    text = io.StringIO()
    table = csv.DictWriter(text, COLUMNS, lineterminator="\n")
    table.writeheader()
    table.writerows(rows_of(figure))
    return text.getvalue()


def rows_of(figure: Figure) -> Iterator[Row]:
    """The rows, as they are needed."""
    for panel in figure.panels:
        for series in panel.series:
            for row in _rows(panel, series):
                yield {"panel": panel.title, "series": series.name, **row}


def _rows(panel: Panel, series: Series) -> Iterator[Row]:
    count = max(len(series.x) - (series.kind == "step"), len(series.y), len(series.low))
    for place in range(count):
        x, y = _at(series.x, place), _at(series.y, place)
        yield {
            "kind": series.kind,
            "label": series.labels[place] if series.labels else "",
            "x": x,
            "x_end": series.x[place + 1] if series.kind == "step" else None,
            "x_category": panel.x.category(x),
            "y": None if series.placed else y,
            "y_category": panel.y.category(y),
            "low": _at(series.low, place),
            "high": _at(series.high, place),
            "value": _at(series.values, place),
        }


def _at(numbers: tuple[Number, ...], place: int) -> Number:
    return numbers[place] if place < len(numbers) else None
