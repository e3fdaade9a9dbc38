"""GET /v1/model-info."""

from typing import Annotated

from fastapi import APIRouter, Query, Request, Response
from fastapi.concurrency import run_in_threadpool
from sqlalchemy import select

from analyzer.outline import Outline
from ledger.access import Ledger
from ledger.states import LIVE
from ledger.tables import jobs
from service.context import Caller, Reader, TheLedger
from service.jobs.answering import find, send
from service.jobs.schemas import Envelope
from service.jobs.submission import Prefer, accept, place_for, resolver_of
from service.jobs.waiting import preferred_wait, wait_for_end
from service.problems import RESPONSES, Problem
from service.resolving import Resolver
from worker.requests import ModelWords

DEFAULT_WAIT = 10.0

router = APIRouter(prefix="/v1/model-info", tags=["models"], responses=RESPONSES)


class ModelInfo(Envelope):
    """A look at a model's headers; `outline` is null until a worker has read them."""

    outline: Outline | None


@router.get(
    "",
    response_model=ModelInfo,
    operation_id="get_model_info",
    responses={202: {"model": ModelInfo, "description": "A worker is reading"}},
)
async def model_info(
    request: Request,
    ledger: TheLedger,
    caller: Reader,
    model: Annotated[str, Query(min_length=1, max_length=400)],
    revision: Annotated[str | None, Query(min_length=1, max_length=200)] = None,
    prefer: Prefer = None,
) -> Response:
    """Layers, matrices, bytes to read and a cost estimate, from headers alone.

    A worker reads them once for each commit; the answer waits for it, ten seconds unless
    `Prefer: wait` says otherwise.
    """
    if revision is not None and "@" in model:
        raise Problem("invalid_request", "model names a revision after @ already; leave one out")
    job_id = await run_in_threadpool(
        submit_look, ledger, resolver_of(request), caller, model, revision
    )
    wait = preferred_wait(prefer) if prefer else DEFAULT_WAIT
    await wait_for_end(ledger, job_id, wait)
    return await run_in_threadpool(answer_look, ledger, caller, job_id, request)


def submit_look(
    ledger: Ledger, resolver: Resolver, caller: Caller, model: str, revision: str | None
) -> str:
    """The owner's job for this very model, a new one where there is none that could answer."""
    place = place_for(resolver, caller, model, revision)
    outline_key = place.key()
    with ledger.database.read() as connection:
        same = connection.scalar(
            select(jobs.c.id)
            .where(
                jobs.c.owner == caller.owner,
                jobs.c.kind == "outline",
                jobs.c.outline_key == outline_key,
                jobs.c.model == place.model,
                jobs.c.state.in_((*LIVE, "succeeded")),
            )
            .order_by(jobs.c.id.desc())
            .limit(1)
        )
    if same is not None:
        return str(same)
    words = ModelWords(model=model, revision=revision)
    done = accept(
        ledger,
        kind="outline",
        caller=caller,
        place=place,
        outline_key=outline_key,
        words=words,
        labels={},
        key=None,
    )
    return done.job_id


def answer_look(ledger: Ledger, caller: Caller, job_id: str, request: Request) -> Response:
    """What a look has found: 202 until it is there. Raises Problem where it failed."""
    body = find(request, ledger, caller.reads, "outline", job_id, lambda text: {"outline": text})
    if body.error is not None:
        raise Problem(body.error["code"], body.error["detail"])
    return send(request, body, 200 if body.complete else 202)
