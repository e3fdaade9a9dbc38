"""A training's page: loss as it comes, load of the experts, checkpoints, and what it came to."""

import json
from typing import Any

from fastapi import APIRouter, Request, Response

from ledger.runs import list_checkpoints, list_files
from service.context import Reader, TheLedger
from service.figures.of_trainings import training_figure
from service.jobs.endpoints import JobId
from service.jobs.views import PATHS, document_text, stamp, view
from service.pages.failing import told_of
from service.pages.figures import ShownFigure
from service.pages.presence import missing_worker
from service.pages.route import PageRoute
from service.pages.shown import drawn
from service.pages.templating import page
from service.trainings.files import FOLDER

router = APIRouter(prefix="/trainings", route_class=PageRoute, include_in_schema=False)


@router.get("/{job_id}")
def show(job_id: JobId, request: Request, ledger: TheLedger, caller: Reader) -> Response:
    """The page; htmx takes it again and again while the training goes on."""
    with ledger.database.read() as connection:
        found = view(connection, caller.reads, "training", job_id)
        checkpoints = list_checkpoints(connection, job_id)
        files = list_files(connection, job_id, FOLDER)
        text = document_text(ledger, connection, found)
        missing = missing_worker(connection, "training", ledger.settings.presence)
    job = found.envelope

    def figure(name: str) -> ShownFigure | None:
        return drawn("training", job_id, lambda: training_figure(ledger, caller, job_id, name))

    return page(
        request,
        "training.html",
        job=job,
        ended=found.ended,
        error=job["error"] and told_of(job["error"]["code"], job["error"]["detail"]),
        missing=missing,
        loss=figure("training"),
        load=figure("load"),
        checkpoints=[{**row, "created_at": stamp(row["created_at"])} for row in checkpoints],
        files=_files(job_id, files),
        result=json.loads(text) if text else None,
    )


def _files(job_id: str, rows: Any) -> list[dict[str, Any]]:
    place = f"{PATHS['training']}/{job_id}/adapter"
    names = [(row["name"].removeprefix(FOLDER), row["bytes"]) for row in rows]
    return [{"name": name, "bytes": size, "link": f"{place}/{name}"} for name, size in names]
