"""A figure on a page: where its option comes from, its height, and its numbers as a table."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Self
from urllib.parse import urlencode

from service.figures.echarts import pixels
from service.figures.figure import Figure
from service.figures.table import COLUMNS, rows_of
from service.jobs.views import PATHS

MOST_ROWS = 250
"""Beyond them the table is left to the CSV."""


@dataclass(frozen=True, slots=True)
class ShownFigure:
    """What a template needs of a figure."""

    address: str
    title: str
    notes: tuple[str, ...]
    height: int
    narrow_height: int
    """On a phone, where panels lie below each other."""
    columns: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    more: bool

    @classmethod
    def of(cls, kind: str, job_id: str, figure: Figure, **words: str | Sequence[str]) -> Self:
        """The figure of a job; `words` are what it was told. Its empty columns are left out."""
        rows = list(islice(rows_of(figure), MOST_ROWS + 1))
        used = [name for name in COLUMNS if any(row[name] not in (None, "") for row in rows)]
        query = urlencode(words, doseq=True)
        return cls(
            address=f"{PATHS[kind]}/{job_id}/figures/{figure.name}?{query}".rstrip("?"),
            title=figure.title,
            notes=tuple(text for text in (figure.subtitle, *figure.notes) if text),
            height=pixels(figure),
            narrow_height=pixels(figure, "single"),
            columns=tuple(name.replace("_", " ") for name in used),
            rows=tuple(tuple(_text(row[name]) for name in used) for row in rows[:MOST_ROWS]),
            more=len(rows) > MOST_ROWS,
        )

    def file(self, form: str) -> str:
        """The address of the figure in a format."""
        return f"{self.address}{'&' if '?' in self.address else '?'}format={form}"


def _text(value: str | float | None) -> str:
    """As the CSV has it."""
    return "" if value is None else str(value)
