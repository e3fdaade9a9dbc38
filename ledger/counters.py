"""What has been done so far, for metrics: counted in the transaction that did it.

Each transaction adds rows of its own, so that none waits for another; now and then they are folded.
"""

import json
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

from sqlalchemy import Connection, delete, func, insert, select

from ledger.tables import counters

BUCKETS = (0.1, 0.5, 1.0, 5.0, 15.0, 60.0, 300.0, 1800.0, 7200.0, 43_200.0)
"""Seconds of a histogram."""

PEAK = "_peak_bytes"
"""What such names count is the highest value, for all others the sum."""

MOST_ROWS = 500

Key = tuple[str, str]


@dataclass(slots=True)
class Tally:
    """What a transaction adds."""

    values: dict[Key, float] = field(default_factory=dict)

    def add(self, name: str, amount: float = 1.0, **labels: str) -> None:
        """Count."""
        _merge(self.values, (name, json.dumps(labels, sort_keys=True)), amount)

    def observe(self, name: str, seconds: float, **labels: str) -> None:
        """Count a time in its bucket of a histogram, which is cumulated where it is read."""
        bucket = next((str(most) for most in BUCKETS if seconds <= most), "+Inf")
        self.add(f"{name}_bucket", 1.0, **labels, le=bucket)
        self.add(f"{name}_sum", max(0.0, seconds), **labels)

    def write(self, connection: Connection) -> None:
        """Write all of it."""
        rows = [{"name": key[0], "labels": key[1], "value": n} for key, n in self.values.items()]
        if rows:
            connection.execute(insert(counters), rows)


def ended_at_once(kind: str) -> Tally:
    """What a job adds that had nothing to do."""
    tally = Tally()
    tally.add("jobs_ended", kind=kind, state="succeeded")
    tally.observe("job_seconds", 0.0, kind=kind)
    return tally


def read_counters(connection: Connection) -> list[tuple[str, dict[str, str], float]]:
    """All of them: name, labels and value."""
    found = _merged(connection.execute(select(counters)))
    return [(name, json.loads(labels), value) for (name, labels), value in sorted(found.items())]


def fold(connection: Connection) -> bool:
    """Make few rows of many; whether that was due. A row that another folds is left to it."""
    if (connection.scalar(select(func.count()).select_from(counters)) or 0) <= MOST_ROWS:
        return False
    gone = connection.execute(delete(counters).returning(*counters.c)).all()
    Tally(_merged(gone)).write(connection)
    return True


def _merged(rows: Iterable[Any]) -> dict[Key, float]:
    found: dict[Key, float] = {}
    for _, name, labels, value in rows:
        _merge(found, (name, labels), value)
    return found


def _merge(values: dict[Key, float], key: Key, value: float) -> None:
    if key not in values:
        values[key] = value
    else:
        values[key] = max(values[key], value) if key[0].endswith(PEAK) else values[key] + value
