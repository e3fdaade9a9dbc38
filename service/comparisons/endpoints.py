"""POST and GET /v1/comparisons."""

from fastapi import APIRouter, Request, Response

from service.comparisons.schemas import ComparisonEnvelope, ComparisonRequest
from service.context import Reader, TheLedger, Writer
from service.figures.of_trainings import add_comparison_figures
from service.jobs.answering import find, look, send, send_submitted
from service.jobs.endpoints import JobId, add_shared
from service.jobs.submission import IdempotencyKey, headers_of, key_of
from service.problems import RESPONSES
from service.trainings.accepting import accept_comparison

PATH = "/v1/comparisons"
router = APIRouter(prefix=PATH, tags=["comparisons"], responses=RESPONSES)


@router.post(
    "", response_model=ComparisonEnvelope, status_code=202, operation_id="create_comparison"
)
def create(
    body: ComparisonRequest,
    request: Request,
    ledger: TheLedger,
    caller: Writer,
    idempotency_key: IdempotencyKey = None,
) -> Response:
    """Train under several plans and seeds, and say what differs beyond seed noise."""
    key = key_of(idempotency_key, PATH, body.model_dump(mode="json"))
    done = accept_comparison(ledger, caller, body.words(), body.metadata, key)
    now = look(request, ledger, caller.reads, "comparison", done.job_id, _documents)
    return send_submitted(request, now, done.status, headers_of(done, PATH))


@router.get("/{job_id}", response_model=ComparisonEnvelope, operation_id="get_comparison")
def read(job_id: JobId, request: Request, ledger: TheLedger, caller: Reader) -> Response:
    """A comparison job, with arms, differences and verdict under `result`."""
    return send(request, find(request, ledger, caller.reads, "comparison", job_id, _documents))


def _documents(result: str | None) -> dict[str, str | None]:
    return {"result": result}


add_comparison_figures(router)
add_shared(router, "comparison")
