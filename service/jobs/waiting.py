"""`Prefer: wait=10`: hold an answer until a job has ended, without holding a thread."""

import re
import time

import anyio
from fastapi.concurrency import run_in_threadpool
from sqlalchemy import select

from ledger.access import Ledger
from ledger.states import ENDED
from ledger.tables import jobs

MOST_SECONDS = 60.0
LONGEST_PAUSE = 0.5
_WAIT = re.compile(r"(?:^|[,;\s])wait\s*=\s*(\d{1,4})(?:$|[,;\s])")


def preferred_wait(prefer: str | None) -> float:
    """Seconds that a Prefer header asks to wait, 60 at most; 0 where it does not."""
    found = _WAIT.search(prefer or "")
    return min(MOST_SECONDS, float(found.group(1))) if found else 0.0


async def wait_for_end(ledger: Ledger, job_id: str, seconds: float) -> None:
    """Return when the job has ended, or after so many seconds."""

    def ended() -> bool:
        with ledger.database.read() as connection:
            state = connection.scalar(select(jobs.c.state).where(jobs.c.id == job_id))
        return state is None or state in ENDED

    deadline = time.monotonic() + seconds
    pause = 0.1
    while time.monotonic() < deadline and not await run_in_threadpool(ended):
        await anyio.sleep(min(pause, max(0.0, deadline - time.monotonic())))
        pause = min(LONGEST_PAUSE, 1.3 * pause)
