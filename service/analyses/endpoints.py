"""POST and GET /v1/analyses."""

import json

from fastapi import APIRouter, Request, Response
from fastapi.concurrency import run_in_threadpool

from analyzer.report import Analysis
from ledger.access import Ledger
from ledger.results import measured_before
from service.analyses.layers import add_layers, finished
from service.analyses.schemas import AnalysisEnvelope, AnalysisRequest, Summary
from service.context import Caller, Reader, TheLedger, Writer
from service.figures.of_analyses import add_analysis_figures
from service.jobs.answering import find, send, send_submitted
from service.jobs.endpoints import JobId, add_shared
from service.jobs.submission import (
    IdempotencyKey,
    Prefer,
    accept,
    headers_of,
    key_of,
    place_for,
    resolver_of,
)
from service.jobs.waiting import preferred_wait, wait_for_end
from service.problems import RESPONSES
from service.resolving import Resolver
from worker.passes import content_key
from worker.submitting import FOUND, Key, Submitted

PATH = "/v1/analyses"
router = APIRouter(prefix=PATH, tags=["analyses"], responses=RESPONSES)


@router.post(
    "",
    response_model=AnalysisEnvelope,
    status_code=202,
    operation_id="create_analysis",
    responses={
        200: {"model": AnalysisEnvelope, "description": "One like it is there already"},
        201: {"model": AnalysisEnvelope, "description": "Its spectra were all stored"},
    },
)
async def create(
    body: AnalysisRequest,
    request: Request,
    ledger: TheLedger,
    caller: Writer,
    idempotency_key: IdempotencyKey = None,
    prefer: Prefer = None,
) -> Response:
    """Measure every matrix of a model. What is stored already is not solved again."""
    key = key_of(idempotency_key, PATH, body.model_dump(mode="json"))
    done = await run_in_threadpool(_submit, ledger, resolver_of(request), caller, body, key)
    await wait_for_end(ledger, done.job_id, preferred_wait(prefer))
    headers = headers_of(done, PATH)
    body_now = await run_in_threadpool(
        find, request, ledger, caller.reads, "analysis", done.job_id, _documents
    )
    return send_submitted(request, body_now, done.status, headers)


def _submit(
    ledger: Ledger, resolver: Resolver, caller: Caller, body: AnalysisRequest, key: Key | None
) -> Submitted:
    words = body.words()
    words.options()
    place = place_for(resolver, caller, body.model, body.revision)
    outline_key = place.key()
    if key is None:
        with ledger.database.read() as connection:
            same = measured_before(connection, caller.owner, content_key(outline_key, words))
        if same is not None:
            return Submitted(same, FOUND)
    return accept(
        ledger,
        kind="analysis",
        caller=caller,
        place=place,
        outline_key=outline_key,
        words=words,
        labels=body.metadata,
        key=key,
    )


@router.get("/{job_id}", response_model=AnalysisEnvelope, operation_id="get_analysis")
def read(job_id: JobId, request: Request, ledger: TheLedger, caller: Reader) -> Response:
    """An analysis job, with what it says of the layers once it is there."""
    return send(request, find(request, ledger, caller.reads, "analysis", job_id, _documents))


@router.get("/{job_id}/document", response_model=Analysis, operation_id="get_analysis_document")
def document(job_id: JobId, ledger: TheLedger, caller: Reader) -> Response:
    """The whole analysis, as `tailora analyze --json` prints it."""
    return Response(finished(ledger, caller, job_id), media_type="application/json")


def _documents(text: str | None) -> dict[str, str | None]:
    return {"summary": None if text is None else _summary(text)}


def _summary(text: str) -> str:
    document = json.loads(text)
    return Summary(
        settings=document["settings"],
        layers=document["layers"],
        matrices=len(document["matrices"]),
        warnings=document["warnings"],
    ).model_dump_json()


add_layers(router)
add_analysis_figures(router)
add_shared(router, "analysis")
