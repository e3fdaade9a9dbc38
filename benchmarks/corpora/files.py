"""Corpora as files that `tailora train` reads."""

import json
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import NamedTuple

from benchmarks.corpora.entries import (
    Entry,
    NoCorpus,
    distinct,
    first_of_sources,
    largest_labels,
    split,
)
from benchmarks.corpora.manuals import manuals
from benchmarks.corpora.packages import SECTIONS, package_lists, packages
from benchmarks.corpora.prose import docstrings, licences

TRAIN, HELD_OUT = "train.jsonl", "heldout.jsonl"


class Corpus(NamedTuple):
    """Where the rows lie."""

    train: Path
    held_out: Path


def labelled(folder: Path, each: int = 300, share: float = 0.3, *, inside: bool = False) -> Corpus:
    """Names and descriptions of packages with their section, at most `each` of one; else manual
    pages.

    No source package is on both sides, and no description occurs twice. `inside`: what is held out
    is left aside, and the rest split in the same way, to choose settings by. Raises NoCorpus.
    """
    try:
        found = [entry for entry in packages(package_lists()) if entry.label in SECTIONS]
    except NoCorpus as first:
        try:
            found = list(manuals())
        except NoCorpus as second:
            raise NoCorpus(f"{first}; and {second}") from second
    sides = split(largest_labels(first_of_sources(distinct(found)), each), share)
    if inside:
        sides = split(sides[0], share)
    return _write(folder, sides, lambda e: {"text": f"{e.name}: {e.text}", "label": e.label})


def prose(folder: Path, share: float = 0.1) -> Corpus:
    """Docstrings and licences as running text, modules and licences whole on one side."""
    found = split(distinct([*docstrings(), *licences()]), share)
    return _write(folder, found, lambda e: {"text": e.text})


def described(folder: Path, rows: int = 3000, share: float = 0.2) -> Corpus:
    """Prompts that name a package and its section, completed by its description. Raises NoCorpus
    where there are no package lists.
    """
    found = first_of_sources(distinct(packages(package_lists())))
    kept = largest_labels([entry._replace(label="") for entry in found], rows)
    sections = {entry.name: entry.label for entry in found}
    return _write(
        folder,
        split(kept, share),
        lambda e: {
            "prompt": f"package {e.name}, section {sections[e.name]}:",
            "completion": f" {e.text}",
        },
    )


def _write(
    folder: Path,
    sides: tuple[Sequence[Entry], Sequence[Entry]],
    row: Callable[[Entry], dict[str, str]],
) -> Corpus:
    folder.mkdir(parents=True, exist_ok=True)
    corpus = Corpus(folder / TRAIN, folder / HELD_OUT)
    for path, side in zip(corpus, sides, strict=True):
        path.write_text(_lines(map(row, side)), encoding="utf-8")
    return corpus


def _lines(rows: Iterable[dict[str, str]]) -> str:
    return "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows)
