"""From a checked body to a job: model pinned, idempotency key, one transaction."""

import hashlib
import json
from collections.abc import Mapping
from typing import Annotated, Any

from fastapi import Header, Request

from ledger.access import Ledger
from service.context import GATED, Caller
from service.problems import Problem
from service.resolving import Resolver
from worker.requests import Request as Words
from worker.sources import Place
from worker.submitting import Key, Submission, Submitted, submit

REPLAYED = "Idempotent-Replayed"

IdempotencyKey = Annotated[
    str | None,
    Header(description="up to 255 characters; a second request with it is not done again"),
]
Prefer = Annotated[
    str | None, Header(description="wait=N holds the answer up to N seconds, 60 at most")
]


def resolver_of(request: Request) -> Resolver:
    """The app's resolver."""
    found = request.app.state.resolver
    assert isinstance(found, Resolver)
    return found


def key_of(text: str | None, path: str, body: Mapping[str, Any]) -> Key | None:
    """The idempotency key with what stands for the request. Raises Problem."""
    if text is None:
        return None
    if not (0 < len(text) <= 255 and text.isascii() and text.isprintable()):
        raise Problem(
            "idempotency_key_invalid", "use 1 to 255 printable ASCII characters, such as a UUID"
        )
    canonical = json.dumps([path, body], sort_keys=True)
    return Key(text, hashlib.sha256(canonical.encode()).hexdigest())


def place_for(resolver: Resolver, caller: Caller, model: str, revision: str | None) -> Place:
    """Where a model lies now. Raises AnalyzerError, PathNotAllowed, or Problem for one that the key
    does not open.
    """
    place = resolver.place(model, revision)
    if place.restricted and not caller.gated:
        raise Problem(
            "scope_missing",
            f"{place.model} is gated or private, and this key lacks the scope `{GATED}`; the "
            f"operator makes one with `tailora keys create NAME --scope write --scope {GATED}`",
        )
    return place


def accept(
    ledger: Ledger,
    *,
    kind: str,
    caller: Caller,
    place: Place,
    outline_key: str,
    words: Words,
    labels: Mapping[str, str],
    key: Key | None,
    analysis_id: str | None = None,
) -> Submitted:
    """Submit. Raises LedgerError."""
    asked = Submission(
        kind,
        caller.owner,
        place,
        outline_key,
        words,
        labels,
        key,
        analysis_id,
        caller.reads,
        limited=caller.limited,
    )
    return submit(ledger, asked)


def headers_of(done: Submitted, path: str) -> dict[str, str]:
    """Where the job is, and whether it was there before."""
    replayed = {REPLAYED: "true"} if done.replayed else {}
    return {"Location": f"{path}/{done.job_id}", **replayed}
