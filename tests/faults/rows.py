"""What a test reads of the ledger, also while its database comes and goes."""

import sqlite3
import time
from collections.abc import Callable
from contextlib import closing
from typing import Any, TypeVar

from sqlalchemy import Connection, delete, select, text

from ledger.clock import now
from ledger.database import Database
from ledger.events import list_events
from ledger.migrate import upgrade
from ledger.patience import patient
from ledger.states import ENDED, OPEN
from ledger.tables import events, file_hashes, jobs, metadata, spectra, units
from tests.faults import audit
from tests.faults.audit import Change

PATIENCE = 30.0
STUCK = 0.2
"""Seconds between two statements that no living process of ours takes."""

Found = TypeVar("Found")
Row = dict[str, Any]


class Rows:
    """The ledger's rows, read by nobody's code but the test's."""

    def __init__(self, url: str) -> None:
        """Make the tables, and the record of changes."""
        self.database = Database(url)
        upgrade(self.database)
        audit.install(self.database)

    def close(self) -> None:
        self.database.close()

    def read(self, query: Callable[[Connection], Found]) -> Found:
        def once() -> Found:
            with self.database.read() as connection:
                return query(connection)

        return patient(PATIENCE)(once)

    def all(self, query: Any) -> list[Row]:
        return self.read(lambda c: [dict(row) for row in c.execute(query).mappings()])

    def now(self) -> float:
        return float(self.read(lambda connection: connection.scalar(select(now()))) or 0)

    def units(self, kind: str = "matrices") -> list[Row]:
        return self.all(select(units).where(units.c.kind == kind).order_by(units.c.id))

    def jobs(self) -> dict[str, Row]:
        return {job["id"]: job for job in self.all(select(jobs))}

    def events(self, job_id: str) -> list[Row]:
        return self.read(lambda connection: list_events(connection, job_id, limit=10_000))

    def spectra(self) -> dict[str, Row]:
        return {row["digest"]: row for row in self.all(select(spectra))}

    def changes(self) -> list[Change]:
        return self.read(audit.changes)

    def starts(self, since: float = 0.0) -> list[Change]:
        return [change for change in self.changes() if change.is_start and change.at >= since]

    def done(self) -> int:
        """Units of matrices that are done."""
        return sum(unit["state"] == "done" for unit in self.units())

    def leased(self) -> list[Row]:
        """Units of matrices that somebody solves."""
        return [unit for unit in self.units() if unit["state"] == "leased"]

    def blocked(self) -> bool:
        """Whether somebody who does nothing keeps the ledger's rows from others."""
        if self.database.is_sqlite:
            return self._locked_file()
        time.sleep(2 * STUCK)
        stuck = text(
            "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() "
            "AND state LIKE 'idle in transaction%' "
            f"AND state_change < clock_timestamp() - interval '{STUCK} seconds'"
        )
        return bool(self.read(lambda connection: connection.scalar(stuck)))

    def _locked_file(self) -> bool:
        with closing(sqlite3.connect(str(self.database.url.database), timeout=1.0)) as connection:
            try:
                connection.execute("BEGIN IMMEDIATE")
                connection.rollback()
            except sqlite3.OperationalError:
                return True
            return False

    def ended(self, job_ids: list[str]) -> bool:
        found = self.jobs()
        return all(job_id in found and found[job_id]["state"] in ENDED for job_id in job_ids)

    def idle(self) -> bool:
        return not self.all(select(units.c.id).where(units.c.state.in_(OPEN)).limit(1))

    def wipe(self) -> None:
        """Forget all but the hashes of files."""
        with self.database.write() as connection:
            connection.execute(delete(events))
            for table in reversed(metadata.sorted_tables):
                if table is not file_hashes:
                    connection.execute(delete(table))
            audit.forget(connection)
