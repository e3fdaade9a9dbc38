"""Errors of figures.

FigureError
├── UnknownFigure         no figure of that name
├── NothingToDraw         the document lacks what the figure shows
└── FormatUnavailable     the library that writes the format is not installed
"""


class FigureError(Exception):
    """A figure that cannot be made."""


class UnknownFigure(FigureError):
    """No figure of that name."""


class NothingToDraw(FigureError):
    """The document lacks what the figure shows."""


class FormatUnavailable(FigureError):
    """The library that writes the format is not installed."""
