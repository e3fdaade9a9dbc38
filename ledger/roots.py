"""Which local models may be read: below allowed folders, links resolved, regular files only."""

import stat
from collections.abc import Iterator, Sequence
from pathlib import Path

from analyzer.checkpoint import CONFIG, INDEX
from analyzer.errors import ModelNotFound
from analyzer.text import shown
from ledger.errors import PathNotAllowed

SMALL = (CONFIG, INDEX)


def allowed(model: str, roots: Sequence[Path], *, everything: bool = False) -> Path:
    """The resolved path of a local model. Raises PathNotAllowed or ModelNotFound.

    Whatever of it would be read (weights and the small files beside them, or `everything`) is
    judged by where its links lead; a path outside is never looked at, so that an answer tells
    nothing of what lies there.
    """
    if not roots:
        raise PathNotAllowed(
            f"{shown(model)} is a local path, and this service reads none; name a model on the "
            "Hub, or have the operator start it with `--models DIR`"
        )
    try:
        path = _inside(Path(model), roots, model)
        if path.is_dir():
            for file in path.iterdir() if everything else _read_of(path):
                if everything and file.is_dir() and not file.is_symlink():
                    continue  # what lies deeper is not read
                _regular(_inside(file, roots, model), model)
        else:
            _regular(path, model)
    except OSError as error:
        raise ModelNotFound(f"{shown(model)} cannot be read: {error.strerror}") from error
    return path


def identity(path: Path) -> list[tuple[str, int, int, int, int]]:
    """Name, device, inode, size and mtime of every file of a local model. Raises ModelNotFound."""
    try:
        files = sorted(_read_of(path)) if path.is_dir() else [path]
        seen = [(file.name, file.stat()) for file in files]
    except OSError as error:
        raise ModelNotFound(f"{shown(path)} cannot be read: {error.strerror}") from error
    return [
        (name, found.st_dev, found.st_ino, found.st_size, found.st_mtime_ns) for name, found in seen
    ]


def _read_of(folder: Path) -> Iterator[Path]:
    """What of a folder is read: safetensors files and the small files beside them."""
    for entry in folder.iterdir():
        if (
            entry.name.endswith(".safetensors")
            or entry.name in SMALL
            or entry.name == "adapter_config.json"
        ):
            yield entry


def _inside(path: Path, roots: Sequence[Path], model: str) -> Path:
    try:
        resolved = path.expanduser().resolve()
    except (OSError, RuntimeError, ValueError) as error:
        raise PathNotAllowed(f"{shown(model)} leads nowhere; name a folder of a model") from error
    if not any(resolved.is_relative_to(root) for root in roots):
        raise PathNotAllowed(
            f"{shown(model)} leads outside the folders that this service may read; move the model "
            "below one of them"
        )
    if not resolved.exists():
        raise ModelNotFound(f"{shown(model)} does not exist; name a folder of a model")
    return resolved


def _regular(path: Path, model: str) -> None:
    if not stat.S_ISREG(path.stat().st_mode):
        raise PathNotAllowed(
            f"{shown(path.name)} of {shown(model)} is no regular file; replace it by one"
        )
