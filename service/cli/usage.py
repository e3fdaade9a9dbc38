"""What the cache holds, by model."""

from collections.abc import Iterable
from datetime import UTC, datetime
from itertools import groupby
from typing import TypedDict

from analyzer.store import Entry


class Usage(TypedDict):
    """Spectra kept for one model."""

    model: str
    spectra: int
    bytes: int
    precisions: list[str]
    newest: str


def summarise(entries: Iterable[Entry]) -> list[Usage]:
    """One row for each model."""
    ordered = sorted(entries, key=lambda entry: entry.model)
    return [
        _usage(model, list(group)) for model, group in groupby(ordered, lambda entry: entry.model)
    ]


def _usage(model: str, entries: list[Entry]) -> Usage:
    newest = max(entry.written for entry in entries)
    return Usage(
        model=model,
        spectra=len(entries),
        bytes=sum(entry.bytes for entry in entries),
        precisions=sorted({entry.key.precision for entry in entries}),
        newest=datetime.fromtimestamp(newest, UTC).isoformat(timespec="seconds"),
    )
