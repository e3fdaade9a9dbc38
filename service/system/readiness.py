"""Whether a request could be served now: database, migrations, and a worker."""

from anyio import CapacityLimiter, move_on_after
from anyio.to_thread import run_sync
from pydantic import BaseModel

from ledger.access import Ledger
from ledger.errors import DatabaseUnavailable, WrongVersion
from ledger.migrate import check
from ledger.presence import live_workers


class Check(BaseModel):
    """One thing that has to be in order."""

    ok: bool
    detail: str


class Readiness(BaseModel):
    """All of them."""

    ready: bool
    database: Check
    migrations: Check
    workers: Check


SECONDS = 5.0
"""For an answer: a database that takes a request and stays silent holds its thread for longer."""

UNKNOWN = Check(ok=False, detail="unknown while the database does not answer")


async def readiness(ledger: Ledger, limiter: CapacityLimiter) -> Readiness:
    """Look at each, within a few seconds; what could not be looked at is not in order."""
    with move_on_after(SECONDS):
        return await run_sync(_look, ledger, abandon_on_cancel=True, limiter=limiter)
    return _without(f"the database does not answer within {SECONDS:g} s")


def _without(reason: str) -> Readiness:
    return Readiness(
        ready=False, database=Check(ok=False, detail=reason), migrations=UNKNOWN, workers=UNKNOWN
    )


def _look(ledger: Ledger) -> Readiness:
    try:
        check(ledger.database)
        with ledger.database.read() as connection:
            found = live_workers(connection, presence=ledger.settings.presence)
    except DatabaseUnavailable as error:
        return _without(str(error))
    except WrongVersion as error:
        return Readiness(
            ready=False,
            database=Check(ok=True, detail="answers"),
            migrations=Check(ok=False, detail=str(error)),
            workers=UNKNOWN,
        )
    slots = sum(worker.slots for worker in found)
    seen = f"{len(found)} workers with {slots} slots" if found else "no worker was seen lately"
    return Readiness(
        ready=bool(found),
        database=Check(ok=True, detail="answers"),
        migrations=Check(ok=True, detail="at head"),
        workers=Check(ok=bool(found), detail=seen),
    )
