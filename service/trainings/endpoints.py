"""POST and GET /v1/trainings."""

from fastapi import APIRouter, Request, Response

from service.context import Reader, TheLedger, Writer
from service.figures.of_trainings import add_training_figures
from service.jobs.answering import find, look, send, send_submitted
from service.jobs.endpoints import JobId, add_shared
from service.jobs.submission import IdempotencyKey, headers_of, key_of
from service.problems import RESPONSES
from service.trainings.accepting import accept_training
from service.trainings.files import add_files
from service.trainings.progress import add_progress
from service.trainings.schemas import TrainingEnvelope, TrainingRequest

PATH = "/v1/trainings"
router = APIRouter(prefix=PATH, tags=["trainings"], responses=RESPONSES)


@router.post("", response_model=TrainingEnvelope, status_code=202, operation_id="create_training")
def create(
    body: TrainingRequest,
    request: Request,
    ledger: TheLedger,
    caller: Writer,
    idempotency_key: IdempotencyKey = None,
) -> Response:
    """Fine-tune what a plan describes, on a worker that trains."""
    key = key_of(idempotency_key, PATH, body.model_dump(mode="json"))
    done = accept_training(ledger, caller, body.words(), body.metadata, key)
    now = look(request, ledger, caller.reads, "training", done.job_id, _documents)
    return send_submitted(request, now, done.status, headers_of(done, PATH))


@router.get("/{job_id}", response_model=TrainingEnvelope, operation_id="get_training")
def read(job_id: JobId, request: Request, ledger: TheLedger, caller: Reader) -> Response:
    """A training job, with what it came to under `result`."""
    return send(request, find(request, ledger, caller.reads, "training", job_id, _documents))


def _documents(result: str | None) -> dict[str, str | None]:
    return {"result": result}


add_progress(router)
add_files(router)
add_training_figures(router)
add_shared(router, "training")
