"""A figure that a page may lack: where there is none, the page says why and stands."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from service.figures.errors import FigureError
from service.figures.figure import Figure
from service.pages.failing import told
from service.pages.figures import ShownFigure
from service.problems import KNOWN_ERRORS, problem_of


@dataclass(frozen=True, slots=True)
class Attempt:
    """Either the figure or what is wrong."""

    figure: ShownFigure | None = None
    problem: dict[str, str] | None = None


def drawn(kind: str, job_id: str, draw: Callable[[], Figure]) -> ShownFigure | None:
    """A figure that says nothing where it is missing, such as before a training's first step."""
    try:
        return ShownFigure.of(kind, job_id, draw())
    except FigureError:
        return None


def attempt(
    kind: str, job_id: str, draw: Callable[[], Figure], **words: str | Sequence[str]
) -> Attempt:
    """Draw a figure of a job; `words` are what it was told."""
    try:
        return Attempt(ShownFigure.of(kind, job_id, draw(), **words))
    except KNOWN_ERRORS as error:
        return Attempt(problem=told(problem_of(error)))
