"""Whether a request could be served now: database, migrations, and a worker."""

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


def readiness(ledger: Ledger) -> Readiness:
    """Look at each; what could not be looked at is not in order."""
    unknown = Check(ok=False, detail="unknown while the database does not answer")
    try:
        check(ledger.database)
        with ledger.database.read() as connection:
            found = live_workers(connection, presence=ledger.settings.presence)
    except DatabaseUnavailable as error:
        return Readiness(
            ready=False,
            database=Check(ok=False, detail=str(error)),
            migrations=unknown,
            workers=unknown,
        )
    except WrongVersion as error:
        return Readiness(
            ready=False,
            database=Check(ok=True, detail="answers"),
            migrations=Check(ok=False, detail=str(error)),
            workers=unknown,
        )
    slots = sum(worker.slots for worker in found)
    seen = f"{len(found)} workers with {slots} slots" if found else "no worker was seen lately"
    return Readiness(
        ready=bool(found),
        database=Check(ok=True, detail="answers"),
        migrations=Check(ok=True, detail="at head"),
        workers=Check(ok=bool(found), detail=seen),
    )
