"""A plan as a file for the trainer that its user runs."""

import io
import zipfile
from typing import Annotated

from fastapi import APIRouter, Query, Request, Response

from allocator.exports import export_plan
from allocator.forms.export import Export
from allocator.read import read_plan
from service.context import Reader, TheLedger
from service.jobs.endpoints import JobId
from service.jobs.views import document_text, view
from service.problems import Problem


def add_export(router: APIRouter) -> None:
    """Add the endpoint to the router of plans."""

    @router.get(
        "/{job_id}/export",
        operation_id="export_plan",
        responses={
            200: {
                "model": Export,
                "description": "One file, a zip of several, or JSON where that is accepted",
                "content": {"text/plain": {}, "application/zip": {}},
            }
        },
    )
    def export(
        job_id: JobId,
        request: Request,
        ledger: TheLedger,
        caller: Reader,
        to: Annotated[str, Query(alias="format", max_length=40)],
        nearest: bool = False,
    ) -> Response:
        """The plan for another tool; see /v1/methods for the formats."""
        with ledger.database.read() as connection:
            found = view(connection, caller.reads, "plan", job_id)
            document = document_text(ledger, connection, found)
        if document is None:
            raise Problem(
                "plan_not_ready",
                f"{job_id} is {found.job['state']}; export it once it has succeeded",
            )
        made = export_plan(read_plan(document.encode()), to, nearest=nearest)
        if "application/json" in request.headers.get("accept", ""):
            return Response(made.model_dump_json(indent=2), media_type="application/json")
        return _files(made)


def _files(made: Export) -> Response:
    if len(made.files) == 1:
        ((name, text),) = made.files.items()
        content, media_type = text.encode(), "text/plain; charset=utf-8"
    else:
        name, media_type = f"{made.target}.zip", "application/zip"
        buffer = io.BytesIO()
        with zipfile.ZipFile(buffer, "w") as archive:
            for file, text in made.files.items():
                archive.writestr(file, text)
        content = buffer.getvalue()
    disposition = {"Content-Disposition": f'attachment; filename="{name}"'}
    return Response(content, headers=disposition, media_type=media_type)
