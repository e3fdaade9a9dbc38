"""A fault (`tests.servers.faults`) for processes that train without knowing of it."""

import os
from pathlib import Path
from types import ModuleType

from tests.servers.faults import after_import


def each_start(file: str) -> None:
    """Every such process dies as the next line of the file says; see WAYS of the module dying."""

    def change(_: ModuleType) -> None:
        from tests.trainer.dying import WAYS

        lines = Path(file).read_text().splitlines()
        Path(file).write_text("\n".join(lines[1:]))
        if lines:
            where, step = lines[0].split()
            WAYS[where](int(step))

    after_import("trainer.finetune.run", change)


def one_rank(file: str) -> None:
    """The same for the second process of a torchrun alone."""
    if os.environ.get("RANK") == "1":
        each_start(file)
