"""Plans from files or standard input."""

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from service.cli.failures import CommandError

if TYPE_CHECKING:
    from allocator.plan import Plan

STDIN = "-"
MAX_BYTES = 64_000_000
"""Far above a plan with every option of a large model."""


def read_plan_file(file: str) -> "Plan":
    """The plan in a file, or on standard input for `-`.

    Raises CommandError where it cannot be read, UnreadablePlan where it is no plan.
    """
    from allocator.errors import UnreadablePlan
    from allocator.plan import read_plan
    from analyzer.text import shown

    content = _read(file)
    try:
        return read_plan(content)
    except UnreadablePlan as error:
        raise UnreadablePlan(f"{shown(file)}: {error}") from error


def plan_names(files: Sequence[str]) -> list[str]:
    """A name for each file: its last part where that is enough. Raises CommandError for doubles."""
    if len(set(files)) < len(files):
        twice = next(file for file in files if files.count(file) > 1)
        raise CommandError(f"{twice} is named twice; name each plan once")
    short = [Path(file).name for file in files]
    return [
        name if short.count(name) == 1 and name else file
        for name, file in zip(short, files, strict=True)
    ]


def _read(file: str) -> bytes:
    try:
        if file == STDIN:
            content = sys.stdin.buffer.read(MAX_BYTES + 1)
        else:
            with Path(file).open("rb") as stream:
                content = stream.read(MAX_BYTES + 1)
    except OSError as error:
        raise CommandError(
            f"cannot read {file[:200]}: {error.strerror}; name a file of `tailora plan --out`"
        ) from error
    if len(content) > MAX_BYTES:
        raise CommandError(f"{file[:200]} has more than {MAX_BYTES:,} bytes, which no plan has")
    return content
