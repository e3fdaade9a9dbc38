"""The answer to who asks for a job."""

import json
from collections.abc import Callable, Mapping
from types import MappingProxyType

from fastapi import Request, Response

from ledger.access import Ledger
from ledger.jobs import Count, counted, head
from ledger.reach import Reach
from service.jobs.remembered import Body, EndedJobs
from service.jobs.views import View, document_text, view, view_of
from worker.submitting import ACCEPTED, CREATED, Submitted

NOTHING: Mapping[str, str] = MappingProxyType({})

Documents = Callable[[str | None], dict[str, str | None]]
"""From the job's document to the JSON that stands in the envelope, by name."""


def find(
    request: Request, ledger: Ledger, reach: Reach, kind: str, job_id: str, documents: Documents
) -> Body:
    """The job as it is now. Raises NotFound."""
    ended: EndedJobs = request.app.state.ended_jobs
    if not ended.knows(job_id):
        return look(request, ledger, reach, kind, job_id, documents)
    with ledger.database.glance() as connection:
        known = head(connection, reach, kind, job_id)
    body = ended.get(job_id, known.last_event) if known is not None and known.ended else None
    if known is not None and body is not None and body.complete:
        ended.was_there(reach, kind, job_id, known.last_event)
    return body or look(request, ledger, reach, kind, job_id, documents)


def look(
    request: Request, ledger: Ledger, reach: Reach, kind: str, job_id: str, documents: Documents
) -> Body:
    """The same, asked of the ledger whatever is remembered."""
    ended: EndedJobs = request.app.state.ended_jobs
    with ledger.database.read() as connection:
        found = view(connection, reach, kind, job_id)
        text = document_text(ledger, connection, found)
    body = body_of(found, documents(text), complete=text is not None)
    if found.ended:
        ended.put(job_id, found.job["last_event"], body)
    return body


def body_of_done(
    request: Request, ledger: Ledger, done: Submitted, documents: Documents
) -> Body | None:
    """The body of a job that was done at once, without a look; None where one is needed."""
    ended: EndedJobs = request.app.state.ended_jobs
    if done.job is None or done.made is None:
        return None
    known = ended.alike(done.made.artifact, done.made.analysis_id)
    if known is None:
        with ledger.database.read() as connection:
            text = ledger.artifacts.get(connection, done.made.artifact).decode()
            of = done.made.analysis_id or done.job_id
            known = text, counted(connection, [of]).get(of, Count(0))
        ended.remember_alike(done.made.artifact, done.made.analysis_id, known)
    text, count = known
    return body_of(view_of(done.job, count, done.made.artifact), documents(text), complete=True)


def body_of(
    found: View, documents: Mapping[str, str | None] = NOTHING, *, complete: bool = False
) -> Body:
    """An envelope with untouched documents in it."""
    text = json.dumps(found.envelope, ensure_ascii=False)[:-1]
    for name, document in documents.items():
        text += f', "{name}": {document or "null"}'
    error = found.job["error"] if found.job["state"] == "failed" else None
    return Body(found.etag, (text + "}").encode(), complete, error, found.retry_after)


def send(
    request: Request, body: Body, status: int = 200, headers: Mapping[str, str] = NOTHING
) -> Response:
    """The answer, with its ETag, and when to look again."""
    sent = {"ETag": body.etag, "Cache-Control": "no-cache", **headers}
    if body.retry_after is not None:
        sent["Retry-After"] = str(body.retry_after)
    if status == 200 and request.headers.get("if-none-match") == body.etag:
        return Response(status_code=304, headers=sent)
    return Response(body.content, status, sent, "application/json")


def send_submitted(
    request: Request, body: Body, status: int, headers: Mapping[str, str]
) -> Response:
    """The answer to a submission: 201 where the document is there, 202 where it is not yet."""
    if status in (ACCEPTED, CREATED):
        status = CREATED if body.complete else ACCEPTED
    return send(request, body, status, headers)
