"""Checkpoints of a run: whole with a manifest, or not there.

Hugging Face's Trainer writes a checkpoint's files one by one. A manifest of their sizes and sha256,
those in inner folders too, is written after the last of them and put in place by a rename; a folder
without one, or with a file that differs from it, was cut off and counts for nothing.
"""

import hashlib
import json
import os
import re
import shutil
from pathlib import Path

MANIFEST = "manifest.json"
_NAME = re.compile(r"checkpoint-(\d+)")


def seal(folder: Path) -> None:
    """Write the manifest of a checkpoint whose files are all there, and make it durable."""
    found = sorted(folder.rglob("*"))
    files = {path.relative_to(folder).as_posix(): _entry(path) for path in found if path.is_file()}
    draft = folder / f".{MANIFEST}"
    with draft.open("w", encoding="utf-8") as stream:
        json.dump({"files": files}, stream, indent=2)
        stream.flush()
        os.fsync(stream.fileno())
    for path in (*found, draft):
        _sync(path)
    draft.rename(folder / MANIFEST)
    _sync(folder)
    _sync(folder.parent)


def is_whole(folder: Path) -> bool:
    """Whether every file is what the manifest says."""
    try:
        files = json.loads((folder / MANIFEST).read_bytes())["files"]
        return bool(files) and all(_entry(folder / name) == entry for name, entry in files.items())
    except (FileNotFoundError, ValueError, KeyError, TypeError, AttributeError):
        return False  # a disk that cannot be read is another matter: nothing is removed then


def found_in(run: Path) -> list[Path]:
    """Folders of checkpoints by step, whole or not."""
    found = (path for path in run.glob("checkpoint-*") if _NAME.fullmatch(path.name))
    return sorted(found, key=step_of)


def step_of(folder: Path) -> int:
    """The step that a checkpoint's folder is named after."""
    return int(folder.name.rpartition("-")[2])


def last_whole(run: Path) -> Path | None:
    """The newest whole checkpoint; those after it, which were cut off, are removed."""
    for path in reversed(found_in(run)):
        if is_whole(path):
            return path
        shutil.rmtree(path)
    return None


def rotate(run: Path, keep: int) -> None:
    """Remove all but the newest; called when the last one is sealed."""
    for path in found_in(run)[:-keep]:
        shutil.rmtree(path)


def _entry(path: Path) -> dict[str, str | int]:
    with path.open("rb") as stream:
        digest = hashlib.file_digest(stream, "sha256").hexdigest()
    return {"bytes": path.stat().st_size, "sha256": digest}


def _sync(path: Path) -> None:
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
