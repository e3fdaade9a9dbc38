"""POST and GET /v1/plans."""

from fastapi import APIRouter, Request, Response
from fastapi.concurrency import run_in_threadpool

from allocator.methods import method_named
from ledger.access import Ledger
from ledger.jobs import get
from service.context import Caller, Reader, TheLedger, Writer
from service.figures.of_plans import add_plan_figures
from service.jobs.answering import body_of_done, find, look, send, send_submitted
from service.jobs.endpoints import JobId, add_shared
from service.jobs.remembered import Body
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
from service.plans.export import add_export
from service.plans.feasible import Feasible
from service.plans.schemas import PlanEnvelope, PlanRequest
from service.problems import RESPONSES, Problem
from worker.passes import measured_for
from worker.requests import AnalysisWords, PlanWords
from worker.sources import Place
from worker.steps import analysis_words
from worker.submitting import Key, Submitted

PATH = "/v1/plans"
router = APIRouter(prefix=PATH, tags=["plans"], responses=RESPONSES)


@router.post(
    "",
    response_model=PlanEnvelope,
    status_code=202,
    operation_id="create_plan",
    responses={201: {"model": PlanEnvelope, "description": "The plan is there"}},
)
async def create(
    body: PlanRequest,
    request: Request,
    ledger: TheLedger,
    caller: Writer,
    idempotency_key: IdempotencyKey = None,
    prefer: Prefer = None,
) -> Response:
    """Plan how many experts each layer gets.

    201 with the plan where all spectra are stored, else 202 and where to look for it.
    """
    key = key_of(idempotency_key, PATH, body.model_dump(mode="json"))
    done, now = await run_in_threadpool(submit_and_look, request, ledger, caller, body, key)
    if now is None:
        await wait_for_end(ledger, done.job_id, preferred_wait(prefer))
        now = await run_in_threadpool(
            look, request, ledger, caller.reads, "plan", done.job_id, _documents
        )
    return send_submitted(request, now, done.status, headers_of(done, PATH))


def submit_and_look(
    request: Request, ledger: Ledger, caller: Caller, body: PlanRequest, key: Key | None
) -> tuple[Submitted, Body | None]:
    """The job of a plan, with its body where it was done at once.

    Raises what makes a request impossible: Problem, or an error of another package.
    """
    done = _submit(request, ledger, caller, body, key)
    return done, body_of_done(request, ledger, done, _documents)


def _submit(
    request: Request, ledger: Ledger, caller: Caller, body: PlanRequest, key: Key | None
) -> Submitted:
    """What cannot be is refused before anything is asked or written."""
    words, place = body.words(), None
    if body.analysis_id is not None:
        with ledger.database.read() as connection:
            analysis = get(connection, caller.reads, "analysis", body.analysis_id)
        words = body.words(analysis["request"]["words"])
        _check_evidence(words, analysis_words(analysis), body.analysis_id)
        place = Place(**analysis["request"]["place"])
    options = words.plan_options()
    method_named(options.method).parse(options.parameters)
    words.analysis().options()
    words.analysis().questions()
    if place is None:
        place = place_for(resolver_of(request), caller, str(body.model), body.revision)
    outline_key = place.key()
    feasible: Feasible = request.app.state.feasible
    feasible.check(ledger, outline_key, words)
    return accept(
        ledger,
        kind="plan",
        caller=caller,
        place=place,
        outline_key=outline_key,
        words=words,
        labels=body.metadata,
        key=key,
        analysis_id=body.analysis_id,
    )


def _check_evidence(words: PlanWords, measured: AnalysisWords, analysis_id: str) -> None:
    """Refuse questions that an analysis has measured nothing for."""
    if not set(measured_for(words.analysis())) <= set(measured_for(measured)):
        raise Problem(
            "invalid_option",
            f"{analysis_id} has not measured what stability {words.stability} asks for; name the "
            "model in place of the analysis",
        )


@router.get("/{job_id}", response_model=PlanEnvelope, operation_id="get_plan")
def read(job_id: JobId, request: Request, ledger: TheLedger, caller: Reader) -> Response:
    """A plan job, with the untouched plan under `plan` once it is there."""
    return send(request, find(request, ledger, caller.reads, "plan", job_id, _documents))


def _documents(plan: str | None) -> dict[str, str | None]:
    return {"plan": plan}


add_export(router)
add_plan_figures(router)
add_shared(router, "plan")
