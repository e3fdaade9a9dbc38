"""How much an owner may ask for: submissions by rate (GCRA), and work that has not ended."""

from sqlalchemy import Connection, func, select, update

from ledger.clock import now
from ledger.errors import QuotaExceeded
from ledger.insert import insert_new
from ledger.settings import Settings
from ledger.states import OPEN, UNENDED
from ledger.tables import allowances, jobs, links, units

LATER = 10.0
"""Seconds after which some work may have ended."""


def take(connection: Connection, settings: Settings, owner: str) -> None:
    """Count one submission, in the transaction that accepts it. Raises QuotaExceeded.

    The owner's row stays locked until then, so that several at once do not pass together.
    """
    if not (settings.submit_rate or settings.open_jobs or settings.open_units):
        return
    take_turn(connection, owner, settings.submit_rate, settings.submit_burst)
    for most, count, what in (
        (settings.open_jobs, _open_jobs, "jobs of yours have not ended"),
        (settings.open_units, _open_units, "units of work are what your jobs wait for"),
    ):
        if most and (there := count(connection, owner)) >= most:
            raise QuotaExceeded(
                f"{there} {what}, and {most} may be open; wait for some, or cancel them", LATER
            )


def take_turn(connection: Connection, owner: str, rate: float, burst: int) -> None:
    """Count one submission and lock the owner's row. Raises QuotaExceeded.

    The generic cell rate algorithm: one number, when all that was spent has come back. A rate of
    0 locks the row alone.
    """
    mine = allowances.c.owner == owner
    insert_new(connection, allowances, {"owner": owner, "spent_until": 0.0})
    left = connection.scalar(select(allowances.c.spent_until - now()).where(mine).with_for_update())
    if rate == 0:
        return
    spent = max(0.0, left or 0.0) + 1 / rate
    if spent > burst / rate:
        raise QuotaExceeded(
            f"more than {rate:g} submissions a second; slow down", spent - burst / rate
        )
    connection.execute(update(allowances).where(mine).values(spent_until=now() + spent))


def _open_jobs(connection: Connection, owner: str) -> int:
    """An analysis that was made for a plan is part of it."""
    mine = (jobs.c.owner == owner) & jobs.c.state.in_(UNENDED) & jobs.c.parent_id.is_(None)
    return connection.scalar(select(func.count()).select_from(jobs).where(mine)) or 0


def _open_units(connection: Connection, owner: str) -> int:
    waiting = (
        select(func.count(units.c.id.distinct()))
        .select_from(jobs.join(links, links.c.job_id == jobs.c.id).join(units))
        .where(jobs.c.owner == owner, jobs.c.state.in_(UNENDED), units.c.state.in_(OPEN))
    )
    return connection.scalar(waiting) or 0
