"""The endpoints that plans and analyses share."""

from dataclasses import asdict, replace
from datetime import UTC, datetime
from typing import Annotated, Any

from fastapi import APIRouter, Header, Path, Query, Request, Response

from ledger import jobs
from ledger.cursors import decode, encode
from ledger.events import list_events
from ledger.jobs import Filter, get
from service.context import Reader, TheLedger, Writer
from service.jobs.answering import body_of, send
from service.jobs.schemas import Envelope, Events, Page, Status
from service.jobs.streams import STREAM, stream
from service.jobs.views import envelopes, stamp, view
from service.problems import Problem
from worker.resuming import resume

JobId = Annotated[
    str,
    Path(
        max_length=64,
        pattern=r"^[a-z]{3}_[0-9a-f]+$",
        examples=["pln_01a2236f1a6ec931edc0e2e520ae6b5a"],
    ),
]
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
Limit = Annotated[int, Query(ge=1, le=100)]


def add_shared(router: APIRouter, kind: str) -> None:
    """Add list, events, cancel, retry and delete of a kind of job to its router."""

    @router.get("", response_model=Page, operation_id=f"list_{kind}")
    def list_jobs(
        ledger: TheLedger,
        caller: Reader,
        limit: Limit = 20,
        after: Annotated[str | None, Query(max_length=300)] = None,
        status: Status | None = None,
        model: Annotated[str | None, Query(max_length=400)] = None,
        created_after: datetime | None = None,
        created_before: datetime | None = None,
    ) -> dict[str, Any]:
        """The caller's jobs, newest first, without their documents."""
        wanted = Filter(
            kind,
            status,
            model,
            _seconds(created_after),
            _seconds(created_before),
            limit=limit,
        )
        named = {name: value for name, value in asdict(wanted).items() if name != "limit"}
        if after is not None:
            wanted = replace(wanted, before=decode(after, named))
        with ledger.database.read() as connection:
            found = jobs.list_jobs(connection, caller.reads, wanted)
            data = envelopes(connection, found[:limit])
        more = len(found) > limit
        following = encode(found[limit - 1]["id"], named) if more else None
        return {"data": data, "has_more": more, "next": following}

    @router.get(
        "/{job_id}/events",
        response_model=Events,
        operation_id=f"{kind}_events",
        responses={200: {"content": {STREAM: {"schema": {"type": "string"}}}}},
    )
    def events(
        job_id: JobId,
        request: Request,
        ledger: TheLedger,
        caller: Reader,
        after: Annotated[int, Query(ge=0, le=2**31 - 1)] = 0,
        limit: Limit = 100,
        last_event_id: Annotated[
            str | None, Header(pattern=r"^[0-9]{1,9}$", description="in place of `after`")
        ] = None,
    ) -> dict[str, Any] | Response:
        """The job's events with numbers above `after`, the first ones first.

        With `Accept: text/event-stream` they are sent as they happen until the job has ended; a
        client that was cut off sends the number of the last one it saw as `Last-Event-ID`.
        """
        with ledger.database.read() as connection:
            get(connection, caller.reads, kind, job_id)
            found = list_events(connection, job_id, after=after, limit=limit + 1)
        if STREAM in request.headers.get("accept", ""):
            return stream(request, job_id, after if last_event_id is None else int(last_event_id))
        data = [{**event, "time": stamp(event["time"])} for event in found[:limit]]
        return {"data": data, "has_more": len(found) > limit}

    @router.post(
        "/{job_id}/cancel",
        response_model=Envelope,
        status_code=202,
        operation_id=f"cancel_{kind}",
    )
    def cancel(job_id: JobId, request: Request, ledger: TheLedger, caller: Writer) -> Response:
        """Ask a job to stop. What it shares with other jobs goes on for them."""
        with ledger.database.write() as connection:
            stopped = jobs.cancel(connection, caller.changes, kind, job_id)
            found = view(connection, caller.changes, kind, job_id)
        if not stopped and found.ended:
            raise Problem(
                "job_ended",
                f"{job_id} has {found.job['state']} already; there is nothing to cancel",
            )
        return send(request, body_of(found), 202)

    @router.post(
        "/{job_id}/retry",
        response_model=Envelope,
        status_code=202,
        operation_id=f"retry_{kind}",
    )
    def retry(job_id: JobId, request: Request, ledger: TheLedger, caller: Writer) -> Response:
        """Queue a failed or cancelled job again; what was measured is kept."""
        resume(ledger, caller.changes, kind, job_id, limited=caller.limited)
        with ledger.database.read() as connection:
            found = view(connection, caller.changes, kind, job_id)
        return send(request, body_of(found), 202)

    @router.delete("/{job_id}", status_code=204, operation_id=f"delete_{kind}")
    def delete(job_id: JobId, request: Request, ledger: TheLedger, caller: Writer) -> None:
        """Delete an ended job; spectra are kept."""
        with ledger.database.write() as connection:
            jobs.remove(connection, caller.changes, kind, job_id)
        request.app.state.ended_jobs.forget(job_id)


def _seconds(time: datetime | None) -> float | None:
    """Since 1970; a time without a zone is UTC. Not by timestamp(), which has no year 1."""
    if time is None:
        return None
    return ((time if time.tzinfo else time.replace(tzinfo=UTC)) - EPOCH).total_seconds()
