"""The record behind every figure: names, axes and numbers, and nothing of how it is drawn.

matplotlib (`drawing`) and the page (`echarts`) draw the same record, so they show the same numbers.
"""

from typing import Literal, Self

from pydantic import Field, model_validator

from analyzer.outline import Document, Record

Kind = Literal["points", "line", "step", "bars", "band", "errors", "heat", "rule"]
Colour = int | Literal["ink", "muted"]
"""A place in the palette (see `palette`), the colour of text, or that of what stands behind."""

Number = float | None


class Axis(Record):
    """One direction of a panel; on a category axis positions count from 0."""

    name: str
    unit: str | None = None
    scale: Literal["linear", "log", "category"] = "linear"
    categories: tuple[str, ...] = Field((), description="names of the positions 0, 1, …")
    reverse: bool = Field(False, description="the first position is at the top")
    low: float | None = Field(None, description="where the axis starts; null: with its numbers")
    high: float | None = None

    @property
    def label(self) -> str:
        """Name and unit."""
        return f"{self.name} ({self.unit})" if self.unit else self.name

    def category(self, position: Number) -> str | None:
        """The name of a position; None on an axis of numbers."""
        if self.scale != "category" or position is None:
            return None
        return self.categories[int(position)]


class Heat(Record):
    """What the colours of a heat map stand for."""

    name: str
    low: float
    high: float
    middle: float | None = Field(None, description="where a scale with two ends turns")


class Series(Record):
    """Numbers that belong together.

    points, line, errors: x and y alike in length, errors with low and high around y. step: y over
    the bins between x, which has one more. bars: y at the positions x. band: low to high over the
    whole width. rule: a line across the panel at one x (vertical) or one y (horizontal). heat:
    values at (x, y).
    """

    name: str
    kind: Kind
    x: tuple[Number, ...] = ()
    y: tuple[Number, ...] = ()
    low: tuple[Number, ...] = ()
    high: tuple[Number, ...] = ()
    values: tuple[Number, ...] = Field((), description="of a heat map")
    labels: tuple[str, ...] = Field((), description="of each point, such as a matrix's name")
    colour: Colour = "ink"
    hollow: bool = Field(False, description="marks are outlines")
    dashed: bool = False
    thick: bool = False
    placed: bool = Field(False, description="y says where marks stand, and is no number of its own")

    @model_validator(mode="after")
    def _fits(self) -> Self:
        size = len(self.x)
        lengths = {
            "points": (size, 0, 0, 0), "line": (size, 0, 0, 0), "bars": (size, 0, 0, 0),
            "errors": (size, size, size, 0), "step": (max(size - 1, 0), 0, 0, 0),
            "heat": (size, 0, 0, size), "band": (0, 1, 1, 0), "rule": (1 - size, 0, 0, 0),
        }  # fmt: skip
        found = (len(self.y), len(self.low), len(self.high), len(self.values))
        if found != lengths[self.kind] or len(self.labels) not in (0, len(self.y)):
            raise ValueError(f"series {self.name}: lengths do not fit a series of {self.kind}")
        return self


class Panel(Record):
    """A pair of axes with what is drawn between them; later series lie above earlier ones."""

    title: str = ""
    x: Axis
    y: Axis
    series: tuple[Series, ...]
    heat: Heat | None = Field(None, description="where a series is a heat map")


class Figure(Document):
    """One figure of one or several panels. `tailora.figure/1`."""

    schema_id: Literal["tailora.figure/1"] = Field("tailora.figure/1", alias="schema")
    name: str = Field(description="of the kind of figure")
    title: str
    subtitle: str = ""
    panels: tuple[Panel, ...] = Field(min_length=1)
    columns: int = Field(1, ge=1, description="panels side by side")
    notes: tuple[str, ...] = Field((), description="what a reader has to know, such as failed fits")

    def to_csv(self) -> str:
        """Every number of the figure, a row each; see `table`."""
        from service.figures.table import csv_of

        return csv_of(self)
