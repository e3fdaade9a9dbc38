"""Datasets that the operator registered: the entries of folders, looked up by name alone.

A name is compared with the entries there are and never made into a path, so none leads outside.
"""

import re
import stat
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

FORMATS = {".jsonl": "jsonl", ".csv": "csv", ".parquet": "parquet"}
FOLDER = "folder"
_INFO = "dataset_info.json"
_AN_ID = re.compile(r"dts_[0-9a-f]+", re.ASCII)


@dataclass(frozen=True, slots=True)
class Registered:
    """A file, or a folder that `datasets` saved."""

    name: str
    format: str
    path: Path
    """As it is named in its folder: a link's own name says its format."""

    bytes: int
    changed_at: float
    """Seconds since 1970 by the files' own times."""


def registered(roots: Sequence[Path]) -> list[Registered]:
    """All of them by name; where folders have one name in common the first folder's counts.

    Passed over are names that begin with a dot or cannot be printed, other kinds of files, and
    whatever a link leads to outside its folder. Folders that cannot be read have none.
    """
    found: dict[str, Registered] = {}
    for root in roots:
        for entry in _entries(root):
            one = _of(entry, root)
            if one is not None:
                found.setdefault(one.name, one)
    return sorted(found.values(), key=lambda one: one.name)


def find(roots: Sequence[Path], name: str) -> Registered | None:
    """The one of that name; None where there is none."""
    for root in roots:
        for entry in _entries(root):
            one = _of(entry, root) if entry.name == name else None
            if one is not None:
                return one
    return None


def _entries(root: Path) -> Iterator[Path]:
    try:
        yield from root.iterdir()
    except OSError:
        return


def _of(entry: Path, root: Path) -> Registered | None:
    name = entry.name
    if name.startswith(".") or not name.isprintable() or _AN_ID.fullmatch(name):
        return None
    try:
        path = _inside(entry, root)
        if path is None:
            return None
        if path.is_dir():
            return _saved(entry, root)
        return _measured(entry, FORMATS.get(entry.suffix.lower()), [path])
    except (OSError, RuntimeError):  # a link that leads nowhere, or around
        return None


def _saved(entry: Path, root: Path) -> Registered | None:
    files = [_inside(file, root) for file in entry.iterdir()]
    if not (entry / _INFO).is_file() or None in files:
        return None
    return _measured(entry, FOLDER, [file for file in files if file is not None])


def _measured(entry: Path, kind: str | None, files: list[Path]) -> Registered | None:
    found = [file.stat() for file in files]
    if kind is None or not all(stat.S_ISREG(each.st_mode) for each in found):
        return None
    size, changed = sum(each.st_size for each in found), max(each.st_mtime for each in found)
    return Registered(entry.name, kind, entry, size, changed)


def _inside(path: Path, root: Path) -> Path | None:
    resolved = path.resolve(strict=True)
    return resolved if resolved.is_relative_to(root) else None
