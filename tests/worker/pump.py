"""Workers without their processes: the same code, unit by unit, in this one."""

from sqlalchemy import select

from ledger.access import Ledger
from ledger.tables import jobs, units
from worker.reaper import reap
from worker.running import run_unit


def open_units(ledger: Ledger) -> list[str]:
    with ledger.database.read() as connection:
        query = select(units.c.id).where(units.c.state.in_(("queued", "sent")))
        return list(connection.scalars(query.order_by(units.c.rank, units.c.id)))


def pump(ledger: Ledger, most: int | None = None) -> int:
    """Do every unit there is, and what becomes of them; how many were done."""
    done = 0
    while waiting := open_units(ledger):
        for unit_id in waiting:
            if most is not None and done >= most:
                return done
            run_unit(ledger, unit_id, "wrk_pump", "cpu")
            done += 1
    reap(ledger)
    return done


def row(ledger: Ledger, job_id: str):
    with ledger.database.read() as connection:
        return connection.execute(select(jobs).where(jobs.c.id == job_id)).mappings().one()


def all_units(ledger: Ledger, kind: str = "matrices"):
    with ledger.database.read() as connection:
        query = select(units).where(units.c.kind == kind).order_by(units.c.id)
        return list(connection.execute(query).mappings())


def solved(ledger: Ledger) -> int:
    """Matrices that were solved, by what the workers report."""
    return sum((unit["report"] or {}).get("solved", 0) for unit in all_units(ledger))
