"""The trained adapter, file by file."""

import base64
from typing import Annotated, Any

from fastapi import APIRouter, Path, Request, Response
from fastapi.responses import FileResponse

from ledger.access import Ledger
from ledger.errors import Conflict, NotFound
from ledger.jobs import get
from ledger.reach import Reach
from ledger.runs import list_files
from service.context import Reader, TheLedger
from service.jobs.endpoints import JobId
from service.trainings.schemas import Adapter

FOLDER = "adapter/"
FileName = Annotated[str, Path(max_length=150, pattern=r"^[\w.-]+(/[\w.-]+)?$")]


def add_files(router: APIRouter) -> None:
    """Add the endpoints to the router of trainings."""

    @router.get("/{job_id}/adapter", response_model=Adapter, operation_id="training_adapter")
    def adapter(
        job_id: JobId, request: Request, ledger: TheLedger, caller: Reader
    ) -> dict[str, Any]:
        """The files of the trained adapter, with their checksums and where to fetch each."""
        found = adapter_files(ledger, caller.reads, job_id)
        link = request.url.path
        return {"data": [{**entry, "link": f"{link}/{name}"} for name, entry in found.items()]}

    @router.get(
        "/{job_id}/adapter/{name:path}",
        operation_id="training_adapter_file",
        response_class=Response,
        responses={200: {"content": {"application/octet-stream": {}}}},
    )
    def file(
        job_id: JobId, name: FileName, request: Request, ledger: TheLedger, caller: Reader
    ) -> Response:
        """One file; `Repr-Digest` has its sha256, and `Range` goes on with a part."""
        entry = adapter_files(ledger, caller.reads, job_id).get(name)
        if entry is None:
            raise NotFound(f"the adapter of {job_id} has no file {name}; list what it has")
        digest = entry["sha256"]
        headers = {"ETag": f'"{digest}"', "Repr-Digest": _digest(digest)}
        if request.headers.get("if-none-match") == headers["ETag"]:
            return Response(status_code=304, headers=headers)
        path = ledger.artifacts.path_of(digest)
        if path.is_file():
            return FileResponse(
                path, media_type="application/octet-stream", filename=name, headers=headers
            )
        with ledger.database.read() as connection:
            content = ledger.artifacts.get(connection, digest)
        return Response(content, headers=headers, media_type="application/octet-stream")


def adapter_files(ledger: Ledger, reads: Reach, job_id: str) -> dict[str, dict[str, Any]]:
    """Name, bytes and sha256 of each file of an adapter, by its name. Raises NotFound, Conflict."""
    with ledger.database.read() as connection:
        job = get(connection, reads, "training", job_id)
        rows = list_files(connection, job_id, FOLDER)
    if job["state"] != "succeeded":
        raise Conflict(f"{job_id} is {job['state']}; fetch its adapter once it has succeeded")
    names = [row["name"].removeprefix(FOLDER) for row in rows]
    return {
        name: {"name": name, "bytes": row["bytes"], "sha256": row["artifact"]}
        for name, row in zip(names, rows, strict=True)
    }


def _digest(sha256: str) -> str:
    """As RFC 9530 writes it."""
    return f"sha-256=:{base64.b64encode(bytes.fromhex(sha256)).decode()}:"
