"""What the files of a dataset hold, as sha256: two runs are one only where their data is."""

import hashlib
from pathlib import Path

from analyzer.text import shown
from trainer.errors import InvalidData


def sum_of(place: str) -> str:
    """sha256 of a file, or over those of a folder by name. Raises InvalidData."""
    path = Path(place).expanduser()
    content = hashlib.sha256()
    try:
        files = sorted(each for each in path.rglob("*") if each.is_file()) if path.is_dir() else []
        for file in files or [path]:
            if files:
                content.update(f"{file.relative_to(path).as_posix()}\0".encode())
            with file.open("rb") as stream:
                while block := stream.read(1 << 20):
                    content.update(block)
    except OSError as error:
        raise InvalidData(
            f"cannot read {shown(place)}: {error.strerror}; give a file, or a saved dataset"
        ) from error
    return content.hexdigest()


def sums_of(*places: str | None) -> tuple[str, ...]:
    """Of each that is given. Raises InvalidData."""
    return tuple(sum_of(place) for place in places if place is not None)
