"""A job's page: how far it is, what happened, and what can be done."""

from typing import Any

from fastapi import APIRouter, Request, Response
from fastapi.responses import RedirectResponse

from ledger import jobs
from ledger.events import list_events
from ledger.jobs import PREFIXES
from service.context import Reader, TheLedger, Writer
from service.jobs.endpoints import JobId
from service.jobs.views import PATHS, stamp, view
from service.pages.failing import told_of
from service.pages.presence import missing_worker
from service.pages.repeating import form_of
from service.pages.route import PageRoute
from service.pages.templating import page
from service.problems import Problem
from worker.resuming import resume

MOST_EVENTS = 1000
KINDS = {prefix: kind for kind, prefix in PREFIXES.items()}
SCREENS = {
    "plan": "/plans", "analysis": "/analyses", "training": "/trainings",
    "comparison": "/comparisons",
}  # fmt: skip
"""Where the result of a job is shown."""

router = APIRouter(prefix="/jobs", route_class=PageRoute, include_in_schema=False)


def kind_of(job_id: str) -> str:
    """The kind of a job by its id. Raises Problem."""
    kind = KINDS.get(job_id[:3])
    if kind is None:
        raise Problem("not_found", f"there is no job {job_id}; see the history")
    return kind


@router.get("/{job_id}")
def show(job_id: JobId, request: Request, ledger: TheLedger, caller: Reader) -> Response:
    """The page; htmx takes a part of it whenever something happens."""
    kind = kind_of(job_id)
    with ledger.database.read() as connection:
        found = view(connection, caller.reads, kind, job_id)
        events = list_events(connection, job_id, limit=MOST_EVENTS)
        missing = missing_worker(connection, kind, ledger.settings.presence)
    job = found.envelope
    return page(
        request,
        "job.html",
        job=job,
        ended=found.ended,
        missing=missing,
        error=job["error"] and told_of(job["error"]["code"], job["error"]["detail"]),
        events=[_shown(event) for event in events],
        stream=f"{PATHS[kind]}/{job_id}/events?after={found.job['last_event']}",
        again=form_of(job) if kind == "plan" else None,
        result=f"{SCREENS[kind]}/{job_id}" if kind in SCREENS else None,
    )


@router.post("/{job_id}/cancel")
def cancel(job_id: JobId, ledger: TheLedger, caller: Writer) -> Response:
    """Ask the job to stop; one that has ended stays as it is."""
    with ledger.database.write() as connection:
        jobs.cancel(connection, caller.changes, kind_of(job_id), job_id)
    return RedirectResponse(f"/jobs/{job_id}", 303)


@router.post("/{job_id}/retry")
def retry(job_id: JobId, ledger: TheLedger, caller: Writer) -> Response:
    """Queue a failed or cancelled job again."""
    resume(ledger, caller.changes, kind_of(job_id), job_id, limited=caller.limited)
    return RedirectResponse(f"/jobs/{job_id}", 303)


def _shown(event: dict[str, Any]) -> dict[str, Any]:
    return {**event, "time": stamp(event["time"])}
