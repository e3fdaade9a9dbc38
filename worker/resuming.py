"""Queue a job again that failed or was cancelled."""

from sqlalchemy import Connection

from ledger import quotas
from ledger.access import Ledger
from ledger.jobs import Job, get, get_locked, reopen
from ledger.reach import Reach
from ledger.runs import note_before
from worker import segments
from worker.steps import begin
from worker.submitting import assemble_now


def resume(
    ledger: Ledger, changes: Reach, kind: str, job_id: str, *, limited: bool = False
) -> None:
    """Queue a failed or cancelled job again, with the analysis that it waits for.

    Raises NotFound, Conflict or QuotaExceeded.
    """
    ready: list[str] = []
    with ledger.database.write() as connection:
        job = get(connection, changes, kind, job_id)
        if limited:
            quotas.take(connection, ledger.settings, job["owner"])
        if job["analysis_id"] is None:
            reopen(connection, job_id, segments.PHASE if kind in segments.KINDS else "outline")
            note_before(connection, job_id)
            if begin(connection, ledger, job_id):
                ready.append(job_id)
        else:
            _resume_plan(connection, ledger, changes, job, ready)
    assemble_now(ledger, ready)


def _resume_plan(
    connection: Connection, ledger: Ledger, changes: Reach, job: Job, ready: list[str]
) -> None:
    analysis = get_locked(connection, changes, "analysis", job["analysis_id"])
    if analysis["state"] == "succeeded":
        reopen(connection, job["id"], "assembling")
        ready.append(job["id"])
        return
    reopen(connection, job["id"], "waiting")
    if analysis["state"] in ("failed", "cancelled"):
        reopen(connection, analysis["id"], "outline")
        if begin(connection, ledger, analysis["id"]):
            ready.append(analysis["id"])
