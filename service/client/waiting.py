"""Ask for a job, and look at it until it has ended."""

import time
from collections.abc import Callable
from typing import Any

from service.client.answers import Answer
from service.client.envelope import Envelope
from service.client.errors import JobFailed
from service.client.server import Server

WAIT = 2
"""Seconds that the service may hold back its first answer: a plan from kept spectra needs no second
request, and longer nobody should be without progress and the job's id."""

Watch = Callable[[Envelope], None]
"""Is shown every state of a job."""


def submit(server: Server, path: str, body: dict[str, Any], watch: Watch) -> Envelope:
    """Create a job by POST and follow it to its end. Raises ClientError."""
    return follow(server, server.post(path, body, wait=WAIT), path, watch)


def follow(server: Server, answer: Answer, path: str, watch: Watch) -> Envelope:
    """The job of an answer, once it has succeeded. Raises ClientError."""
    found = answer.read(Envelope)
    while not found.ended:
        watch(found)
        time.sleep(answer.pause)
        answer = server.get(f"{path}/{found.id}")
        found = answer.read(Envelope)
    watch(found)
    check(found)
    return found


def check(found: Envelope) -> None:
    """Raise JobFailed where a job ended without what it was for."""
    if found.status == "failed":
        code = found.error.code if found.error else "internal_error"
        detail = found.error.detail if found.error else f"{found.id} failed without a reason"
        raise JobFailed(code, detail)
    if found.status == "cancelled":
        raise JobFailed("cancelled", f"{found.id} was cancelled; run the command again to redo it")
