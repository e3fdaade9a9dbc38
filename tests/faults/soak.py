"""`python -m tests.faults.soak`: every row at full scale, and its table in docs/soak.md.

With arguments for pytest, such as `-k test_5`, only a part is run, and the table just printed.
"""

import os
import platform
import sys
from datetime import UTC, datetime
from pathlib import Path

import pytest

from tests.faults.conftest import TALLIES
from tests.faults.scale import SOAK
from tests.faults.tally import Tally

ROOT = Path(__file__).parents[2]
FILE = ROOT / "docs" / "soak.md"
HEAD = """# What happens when things die

`make soak` on {machine}, {date}: real processes, {matrices} matrices of {side} × {side}, each a
unit of its own; two workers of two processes with one thread each; lease 6 s, heartbeat 2 s, reaper
2 s, messages sent again after 6 s. Rows are those of the fault tests in `tests/faults`, which also
run at small scale in `make test`.

Per run: matrices or jobs **lost**; spectra, jobs and events that are **unexpected**; units,
solves and results that are **duplicated**; units **recovered** after a loss; **starts** of units;
**results** stored; whether all of these are **equal** in every byte to the undisturbed run; how
often the fault **fired**; **wall** seconds, and those of the undisturbed run (**calm**). A run
whose fault did not fire fails.

"""


class Keeper:
    """Keeps what pytest counted."""

    def __init__(self) -> None:
        self.tallies: list[Tally] = []

    def pytest_sessionfinish(self, session: pytest.Session) -> None:
        self.tallies = session.config.stash.get(TALLIES, [])


def main(arguments: list[str]) -> int:
    """Run, print, and write the table if all was run and went well."""
    keeper = Keeper()
    words = ["-m", "soak", "-q", "--durations=0", str(Path(__file__).parent), *arguments]
    code = int(pytest.main(words, plugins=[keeper]))
    table = Tally.table(sorted(keeper.tallies, key=lambda tally: tally.order))
    print(table)
    if code == 0 and not arguments:
        machine = f"{platform.system()} {platform.machine()} with {os.cpu_count()} cores"
        date = datetime.now(UTC).date().isoformat()
        sizes = {"matrices": SOAK.matrices, "side": SOAK.side}
        FILE.write_text(HEAD.format(machine=machine, date=date, **sizes) + table)
    return code


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
