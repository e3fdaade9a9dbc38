"""Answers from memory in front of the framework: jobs that had succeeded a moment ago.

Whoever polls, or draws a page, asks for the same few again and again.
"""

import re
from dataclasses import dataclass

from starlette.requests import Request
from starlette.types import ASGIApp, Receive, Scope, Send

from ledger.access import Ledger
from service.context import remembered_caller
from service.jobs.answering import send
from service.jobs.remembered import EndedJobs

KINDS = {
    "plans": "plan", "analyses": "analysis", "trainings": "training", "comparisons": "comparison",
}  # fmt: skip
_JOB = re.compile(rf"/v1/({'|'.join(KINDS)})/([a-z]{{3}}_[0-9a-f]{{1,60}})", re.ASCII)


@dataclass(frozen=True, slots=True)
class Route:
    """What the request is counted as."""

    path: str


class Glimpses:
    """ASGI middleware; what it does not know at once goes on to the app."""

    def __init__(self, app: ASGIApp, *, ledger: Ledger, ended: EndedJobs) -> None:
        """Answer from what `ended` remembers."""
        self._app, self._ledger, self._ended = app, ledger, ended

    async def __call__(self, scope: Scope, receive: Receive, respond: Send) -> None:
        """Answer, or hand on."""
        found = _JOB.fullmatch(scope["path"]) if scope.get("method") == "GET" else None
        if found is not None:
            request = Request(scope)
            caller = remembered_caller(request, self._ledger)
            if caller is not None and "read" in caller.holder.scopes:
                body = self._ended.glimpse(caller.reads, KINDS[found[1]], found[2])
                if body is not None:
                    scope["route"] = Route(f"/v1/{found[1]}/{{job_id}}")
                    await send(request, body)(scope, receive, respond)
                    return
        await self._app(scope, receive, respond)
