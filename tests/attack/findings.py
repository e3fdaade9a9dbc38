"""What a run of these tests counted, as lines of docs/attack.md."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

FILE = Path(__file__).parents[2] / "docs" / "attack.md"
COLUMNS = ("row", "run", "counted", "date")
HEAD = """# What strangers can do

`make faults` runs these at a small scale with every change, `make soak` at the full one, which
writes this table: real processes, an API with keys over PostgreSQL and Redis, a Hub of the tests'
own. Times are in seconds.

"""


@dataclass(frozen=True, slots=True)
class Finding:
    """What one row counted."""

    row: str
    run: str
    counted: str

    def __str__(self) -> str:
        return f"{self.row}, {self.run}: {self.counted}"


def write(findings: Iterable[Finding], *, passed: bool) -> None:
    """Put lines into the table, in the place of those of the same row and run.

    What a row counted that asked for more is told as well.
    """
    date = datetime.now(UTC).date().isoformat()
    kept = FILE.read_text().splitlines() if FILE.exists() else []
    cells = [[cell.strip() for cell in line.strip("|").split("|")] for line in kept if "|" in line]
    lines = {(line[0], line[1]): line for line in cells if len(line) == len(COLUMNS)}
    missed = "" if passed else "**missed its bar**: "
    for one in findings:
        lines[one.row, one.run] = [one.row, one.run, missed + one.counted, date]
    body = [line for key, line in lines.items() if key[0] not in ("---", "row")]
    body.sort(key=lambda line: (line[1] != "full", int(line[0].partition(" ")[0]), line[0]))
    table = [list(COLUMNS), ["---"] * len(COLUMNS), *body]
    FILE.write_text(HEAD + "".join(f"| {' | '.join(line)} |\n" for line in table))
