"""The answer to who asks for a job: made once where the job has ended."""

import json
import time
from collections import OrderedDict
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from threading import Lock
from types import MappingProxyType
from typing import Any

from fastapi import Request, Response
from fastapi.concurrency import run_in_threadpool

from ledger.access import Ledger
from ledger.jobs import Count, counted, head
from ledger.reach import Reach
from service.jobs.views import View, document_text, view, view_of
from worker.submitting import ACCEPTED, CREATED, Submitted

MOST_BYTES = 16_000_000
MOST_SEEN = 10_000
MOST_ALIKE = 500
SECONDS = 0.5
NOTHING: Mapping[str, str] = MappingProxyType({})


@dataclass(frozen=True, slots=True)
class Body:
    """A job's envelope with its document, as they are sent."""

    etag: str
    content: bytes
    complete: bool
    """Whether the document is there."""

    error: dict[str, Any] | None
    retry_after: int | None


class EndedJobs:
    """Bodies of jobs that have ended, by id and last event; the ones asked for last, to a bound.

    One that has succeeded can only be deleted: it is looked at twice a second at most.
    """

    def __init__(self) -> None:
        """Keep nothing yet."""
        self._lock = Lock()
        self._bodies: OrderedDict[tuple[str, int], Body] = OrderedDict()
        self._bytes = 0
        self._seen: dict[tuple[Reach, str, str], tuple[float, Body]] = {}
        self._alike: dict[tuple[str, str | None], tuple[str, Count]] = {}

    def alike(self, artifact: str, analysis_id: str | None) -> tuple[str, Count] | None:
        """The document, and how much was measured for it, of jobs that came to the same."""
        return self._alike.get((artifact, analysis_id))

    def remember_alike(
        self, artifact: str, analysis_id: str | None, known: tuple[str, Count]
    ) -> None:
        """Keep that for the next one."""
        if len(self._alike) >= MOST_ALIKE:
            self._alike.clear()
        self._alike[artifact, analysis_id] = known

    def glimpse(self, reach: Reach, kind: str, job_id: str) -> Body | None:
        """The body of a job that had succeeded and was there a moment ago."""
        until, body = self._seen.get((reach, kind, job_id), (0.0, None))
        return body if time.monotonic() < until else None

    def was_there(self, reach: Reach, kind: str, job_id: str, body: Body) -> None:
        """Remember for a moment that a job is there."""
        if len(self._seen) >= MOST_SEEN:
            self._seen.clear()
        self._seen[reach, kind, job_id] = time.monotonic() + SECONDS, body

    def forget(self, job_id: str) -> None:
        """A job was deleted by this process."""
        for key in [key for key in list(self._seen) if key[2] == job_id]:
            self._seen.pop(key, None)

    def get(self, job_id: str, last_event: int) -> Body | None:
        """The body, where it was kept."""
        with self._lock:
            found = self._bodies.get((job_id, last_event))
            if found is not None:
                self._bodies.move_to_end((job_id, last_event))
            return found

    def put(self, job_id: str, last_event: int, body: Body) -> None:
        """Keep a body."""
        with self._lock:
            if (job_id, last_event) not in self._bodies:
                self._bodies[job_id, last_event] = body
                self._bytes += len(body.content)
            while self._bytes > MOST_BYTES:
                _, gone = self._bodies.popitem(last=False)
                self._bytes -= len(gone.content)


Documents = Callable[[str | None], dict[str, str | None]]
"""From the job's document to the JSON that stands in the envelope, by name."""


async def glimpse_or_find(
    request: Request, ledger: Ledger, reach: Reach, kind: str, job_id: str, documents: Documents
) -> Body:
    """The same, without a thread where it was there a moment ago."""
    ended: EndedJobs = request.app.state.ended_jobs
    body = ended.glimpse(reach, kind, job_id)
    if body is None:
        body = await run_in_threadpool(find, request, ledger, reach, kind, job_id, documents)
    return body


def find(
    request: Request, ledger: Ledger, reach: Reach, kind: str, job_id: str, documents: Documents
) -> Body:
    """The job as it is now. Raises NotFound."""
    ended: EndedJobs = request.app.state.ended_jobs
    with ledger.database.glance() as connection:
        known = head(connection, reach, kind, job_id)
    body = ended.get(job_id, known.last_event) if known is not None and known.ended else None
    if body is not None and body.complete:
        ended.was_there(reach, kind, job_id, body)
    return body or look(request, ledger, reach, kind, job_id, documents)


def look(
    request: Request, ledger: Ledger, reach: Reach, kind: str, job_id: str, documents: Documents
) -> Body:
    """The same of a job whose body nobody can have asked for before."""
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
