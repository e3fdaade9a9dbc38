"""`python -m tests.faults.soak`: every row at full scale; what passes goes into docs/soak.md and
docs/attack.md.

With arguments for pytest, such as `-k soak-postgres-1`, only a part is run, and only its lines of
the table are written anew; `-m faults` runs and writes those of the small scale.
"""

import os
import platform
import sys
from collections.abc import Iterable
from datetime import UTC, datetime
from pathlib import Path

import pytest

from tests.attack import findings
from tests.attack.conftest import FINDINGS
from tests.faults.conftest import TALLIES
from tests.faults.scale import CI, SOAK
from tests.faults.tally import COLUMNS, Tally

FILE = Path(__file__).parents[2] / "docs" / "soak.md"
HEAD = f"""# What happens when things die

`make soak` runs the fault tests of `tests/faults` at full scale and writes what passes into this
table: real processes, {SOAK.matrices} matrices of {SOAK.side} × {SOAK.side}, each a unit of its
own; two workers of two processes with one thread each; lease 6 s, heartbeat 2 s, reaper 2 s,
messages sent again after 6 s. `make faults`, at the scale of every change: {CI.matrices} matrices
of {CI.side} × {CI.side}. Measured on {platform.system()} {platform.machine()} with
{os.cpu_count()} cores, which workers, databases and API share.

Per run (scale, database, seed): matrices or jobs **lost**; spectra, jobs and events that are
**unexpected**; units, solves and results that are **duplicated**; units **recovered** after a loss;
**starts** of units; **results** stored; whether all of these are **equal** in every byte to the
undisturbed run; how often the fault **fired**; **wall** seconds, and those of the undisturbed run
(**calm**). A run whose fault did not fire fails. A poison unit is started five times before its job
fails, so its wall is five leases. A worker that leaves ends its own leases early, which counts as
duplicated there.

"""


class Keeper:
    """Writes what a test counted, or why it failed, at once, since the next one may take long."""

    def __init__(self) -> None:
        self._seen = self._found = 0

    def pytest_configure(self, config: pytest.Config) -> None:
        self._tallies = config.stash.setdefault(TALLIES, [])
        self._findings = config.stash.setdefault(FINDINGS, [])

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        if report.failed:
            print(report.longreprtext, flush=True)
        if report.when == "call":
            new = self._tallies[self._seen :]
            self._seen = len(self._tallies)
            if report.passed and new:
                write(new)
            found = self._findings[self._found :]
            self._found = len(self._findings)
            if found:
                findings.write(found, passed=report.passed)


def write(tallies: Iterable[Tally]) -> None:
    """Put lines into the table, in the place of those of the same row and run."""
    date = datetime.now(UTC).date().isoformat()
    kept = FILE.read_text().splitlines() if FILE.exists() else []
    cells = [[cell.strip() for cell in line.strip("|").split("|")] for line in kept if "|" in line]
    lines = {(line[0], line[1]): line for line in cells if len(line) == len(COLUMNS) + 1}
    lines |= {(tally.row, tally.run): [*tally.cells(), date] for tally in tallies}
    head = [*COLUMNS, "date"]
    body = sorted(line for key, line in lines.items() if key[0] not in ("---", head[0]))
    body.sort(key=lambda line: (line[1].partition("-")[0] != SOAK.name, _number(line[0])))
    table = [head, ["---"] * len(head), *body]
    FILE.write_text(HEAD + "".join(f"| {' | '.join(line)} |\n" for line in table))


def _number(row: str) -> int:
    """Rows without one come last."""
    number = row.partition(" ")[0]
    return int(number) if number.isdigit() else 99


def main(arguments: list[str]) -> int:
    """Run, and write what passes."""
    folder = Path(__file__).parent
    places = [str(folder), str(folder.parent / "attack")]
    words = ["-m", "soak", "-q", "--durations=0", *places, *arguments]
    return int(pytest.main(words, plugins=[Keeper()]))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
