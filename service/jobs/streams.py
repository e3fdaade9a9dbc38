"""The answer to who follows a job."""

from fastapi import Request
from fastapi.sse import EventSourceResponse

from service.context import key_text
from service.jobs.watching import Watches
from service.problems import Problem

STREAM = EventSourceResponse.media_type
MOST_STREAMS = 1000
"""Of one process."""


def stream(request: Request, job_id: str, after: int) -> EventSourceResponse:
    """Events from the ledger as they come. Raises Problem where too many follow."""
    watches = request.app.state.watches
    assert isinstance(watches, Watches)
    if watches.streams >= MOST_STREAMS:
        raise Problem(
            "quota_exceeded",
            "too many follow events here; read them as a list, or try again later",
            headers={"Retry-After": "10"},
        )
    return EventSourceResponse(
        watches.follow(job_id, after, key_text(request)),
        headers={"Cache-Control": "no-cache", "X-Accel-Buffering": "no"},
    )
