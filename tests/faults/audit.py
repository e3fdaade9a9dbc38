"""A record of every change of a unit's row, which the database itself keeps.

So a late write is seen whoever makes it, and whatever the row says in the end.
"""

from dataclasses import dataclass

from sqlalchemy import Connection, text

from ledger.database import Database

COLUMNS = "at, unit_id, was, became, was_attempt, attempt, was_lease, worker"
TABLE = """
CREATE TABLE audit (
    number {number}, at double precision, unit_id text, was text, became text,
    was_attempt integer, attempt integer, was_lease double precision, worker text
)
"""
VALUES = "OLD.id, OLD.state, NEW.state, OLD.attempt, NEW.attempt, OLD.lease_until, NEW.worker"
SQLITE = f"""
CREATE TRIGGER audit_units AFTER UPDATE ON units BEGIN
    INSERT INTO audit ({COLUMNS}) VALUES ((julianday('now') - 2440587.5) * 86400.0, {VALUES});
END
"""
FUNCTION = f"""
CREATE FUNCTION audit_units() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
    INSERT INTO audit ({COLUMNS}) VALUES (extract(epoch from clock_timestamp()), {VALUES});
    RETURN NULL;
END $$
"""
POSTGRES = (
    "CREATE TRIGGER audit_units AFTER UPDATE ON units FOR EACH ROW EXECUTE FUNCTION audit_units()"
)
ENDED = ("done", "failed", "cancelled")


@dataclass(frozen=True, slots=True)
class Change:
    """One update of one unit: states, attempts and leases before and after; when, and by whom."""

    number: int
    at: float
    unit_id: str
    was: str
    became: str
    was_attempt: int
    attempt: int
    was_lease: float | None
    worker: str | None

    @property
    def is_start(self) -> bool:
        return self.became == "leased" and self.attempt > self.was_attempt

    @property
    def is_forbidden(self) -> bool:
        """A write to what has ended, or to what another worker's lease still covers."""
        taken = self.is_start or self.became in ("queued", "sent")
        covered = self.was == "leased" and self.was_lease is not None and self.was_lease > self.at
        return self.was in ENDED or (taken and covered)


def install(database: Database) -> None:
    """Record from now on."""
    with database.write() as connection:
        number = "integer PRIMARY KEY" if database.is_sqlite else "bigserial PRIMARY KEY"
        connection.execute(text(TABLE.format(number=number)))
        for statement in (SQLITE,) if database.is_sqlite else (FUNCTION, POSTGRES):
            connection.exec_driver_sql(statement)


def changes(connection: Connection) -> list[Change]:
    """All changes so far, the first ones first."""
    rows = connection.execute(text(f"SELECT number, {COLUMNS} FROM audit ORDER BY number"))
    return [Change(*row) for row in rows]


def forget(connection: Connection) -> None:
    connection.execute(text("DELETE FROM audit"))
