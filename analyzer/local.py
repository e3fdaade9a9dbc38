"""A checkpoint on this machine: a folder of safetensors files, or one file."""

from pathlib import Path

from analyzer.checkpoint import INDEX, MAX_INDEX_BYTES, PICKLES, read_index, weight_files
from analyzer.errors import ModelNotFound, UnreadableFile, UnsupportedFormat
from analyzer.source import Source
from analyzer.text import shown
from analyzer.weightfile import HashMemory, LocalFile


def open_local(model: str, path: Path, memory: HashMemory | None = None) -> Source:
    """The source of a folder with its config.json, or of one .safetensors file; opens no weights.

    Raises like weight_files, and UnreadableFile for a broken index.
    """
    folder = path if path.is_dir() else path.parent
    index: dict[str, str] = {}
    if path.is_dir():
        if (path / INDEX).is_file():
            index = read_index(read_small(path / INDEX), shown(path))
        names = weight_files(names_in(path), index, shown(path))
    else:
        names = _file_alone(path)
    return Source(
        model,
        {name: LocalFile(folder / name, memory) for name in names},
        index=index,
        small=lambda name: read_small(folder / name) if (folder / name).is_file() else None,
    )


def names_in(folder: Path) -> list[str]:
    """Names of what lies in a folder. Raises UnreadableFile."""
    try:
        names = [entry.name for entry in folder.iterdir()]
    except OSError as error:
        raise UnreadableFile(f"{shown(folder)} cannot be read: {error.strerror}") from error
    for name in names:
        if name.endswith(".safetensors") and not name.isprintable():
            raise UnreadableFile(
                f"{shown(folder)} holds a file with an unprintable name, {name!r}; rename it"
            )
    return names


def _file_alone(path: Path) -> list[str]:
    if path.suffix in PICKLES:
        raise UnsupportedFormat(
            f"{shown(path)} is a pickle, which can run code when it is read; "
            "pass a .safetensors file"
        )
    if path.suffix != ".safetensors":
        raise ModelNotFound(
            f"{shown(path)} is not a .safetensors file; pass one, or the model's folder"
        )
    return [path.name]


def read_small(path: Path) -> bytes:
    """A file's bytes, one more than any small file may have at most. Raises UnreadableFile."""
    try:
        with path.open("rb") as stream:
            return stream.read(MAX_INDEX_BYTES + 1)
    except OSError as error:
        raise UnreadableFile(f"{shown(path)} cannot be read: {error.strerror}") from error
