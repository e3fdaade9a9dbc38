"""What a corpus is made of: texts with a source, and a split that keeps each source whole."""

import hashlib
from collections.abc import Iterable, Sequence
from typing import NamedTuple


class NoCorpus(Exception):
    """The system holds none of the texts that a corpus is made from."""


class Entry(NamedTuple):
    """One text."""

    source: str
    """What it belongs to: a source package, a page, a module."""

    text: str
    label: str = ""
    name: str = ""


def distinct(entries: Iterable[Entry]) -> list[Entry]:
    """In an order of their own, each text once, however its letters and blanks are written."""
    found: dict[str, Entry] = {}
    for entry in sorted(entries):
        found.setdefault(" ".join(entry.text.split()).casefold(), entry)
    return list(found.values())


def first_of_sources(entries: Iterable[Entry]) -> list[Entry]:
    """One entry of each source and label: the others tell of the same thing."""
    found: dict[tuple[str, str], Entry] = {}
    for entry in sorted(entries):
        found.setdefault((entry.source, entry.label), entry)
    return list(found.values())


def largest_labels(entries: Sequence[Entry], each: int) -> list[Entry]:
    """At most `each` entries of a label, chosen by hash."""
    taken: dict[str, int] = {}
    found = []
    for entry in sorted(entries, key=lambda entry: (_order("chosen", entry.source), entry)):
        taken[entry.label] = taken.get(entry.label, 0) + 1
        if taken[entry.label] <= each:
            found.append(entry)
    return found


def split(entries: Sequence[Entry], share: float) -> tuple[list[Entry], list[Entry]]:
    """To train on and to evaluate on, with about `share` of the sources in the second; mixed."""
    sources = sorted({entry.source for entry in entries}, key=lambda name: _order("held out", name))
    held = set(sources[: round(share * len(sources))])
    mixed = sorted(entries, key=lambda entry: (_order("mixed", entry.text), entry))
    train = [entry for entry in mixed if entry.source not in held]
    return train, [entry for entry in mixed if entry.source in held]


def _order(purpose: str, text: str) -> str:
    """Another one for each purpose: what is held out does not depend on what was chosen."""
    return hashlib.sha256(f"{purpose}\0{text}".encode()).hexdigest()
