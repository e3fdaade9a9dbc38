"""Plans from files or standard input."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from service.cli.failures import CommandError
from service.cli.files import read_input

if TYPE_CHECKING:
    from allocator.plan import Plan


def read_plan_file(file: str) -> "Plan":
    """The plan in a file, or on standard input for `-`.

    Raises CommandError where it cannot be read, UnreadablePlan where it is no plan.
    """
    from allocator.errors import UnreadablePlan
    from allocator.read import read_plan
    from analyzer.text import shown

    content = read_input(Path(file))
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
