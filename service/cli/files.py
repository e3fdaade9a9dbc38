"""Files that a command reads: bounded, from a path or from stdin."""

import sys
from pathlib import Path

from service.cli.failures import CommandError

MAX_BYTES = 64_000_000
"""Far above a plan with every option of a large model."""

STDIN = "-"
_IN_FOLDER = ("expert.json", "rank.json", "flags.txt", "adapter_config.json")


def read_input(path: Path) -> bytes:
    """The bytes of a file, or of stdin for `-`. Raises CommandError."""
    try:
        if str(path) == STDIN:
            content = sys.stdin.buffer.read(MAX_BYTES + 1)
        else:
            with path.open("rb") as file:
                content = file.read(MAX_BYTES + 1)
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) else error
        raise CommandError(f"cannot read {path}: {reason}") from error
    if len(content) > MAX_BYTES:
        raise CommandError(f"cannot read {path}: more than {MAX_BYTES:,} bytes are no plan")
    return content


def read_inputs(paths: list[Path]) -> dict[str, bytes]:
    """The bytes of files by name; of a folder those that belong together in one.

    Raises CommandError, also where two have the same name.
    """
    found: dict[str, bytes] = {}
    for path in (file for named in paths for file in _files(named)):
        if path.name in found:
            raise CommandError(f"two files are called {path.name}; rename one")
        found[path.name] = read_input(path)
    return found


def _files(path: Path) -> list[Path]:
    if not path.is_dir():
        return [path]
    files = [path / name for name in _IN_FOLDER if (path / name).is_file()]
    if not files:
        raise CommandError(f"{path} is a folder without {' or '.join(_IN_FOLDER)}; name the file")
    return files
