"""POST, GET and DELETE /v1/datasets."""

from typing import Annotated, Any

from fastapi import APIRouter, Path, Query, Request, Response
from fastapi.concurrency import run_in_threadpool
from fastapi.responses import JSONResponse

from ledger import datasets
from ledger.access import Ledger
from ledger.cursors import decode, encode
from ledger.errors import Conflict, InvalidCursor, NotFound
from ledger.registered import Registered, find, registered
from service.context import Caller, Reader, TheLedger, Writer
from service.datasets.keeping import check_sum, keep, remove
from service.datasets.resolve import is_id, unknown
from service.datasets.schemas import Dataset, DatasetPage, Source
from service.datasets.uploads import Uploads, check_announced, receive
from service.datasets.views import PATH, registered_view, uploaded_view
from service.datasets.words import (
    TYPES,
    ContentDigest,
    FormatName,
    Labels,
    Name,
    Sha256,
    Words,
    words_of,
)
from service.jobs.endpoints import Limit
from service.jobs.submission import REPLAYED, IdempotencyKey, key_of
from service.problems import RESPONSES, Problem

__all__ = ["PATH", "router"]

NameOrId = Annotated[
    str,
    Path(
        min_length=1,
        max_length=255,
        description="an uploaded dataset's id, or a registered one's name",
        examples=["dts_01a2236f1a6ec931edc0e2e520ae6b5a"],
    ),
]
_BINARY = {"schema": {"type": "string", "format": "binary"}}
router = APIRouter(prefix=PATH, tags=["datasets"], responses=RESPONSES)


@router.post(
    "",
    response_model=Dataset,
    status_code=201,
    operation_id="create_dataset",
    openapi_extra={"requestBody": {"required": True, "content": dict.fromkeys(TYPES, _BINARY)}},
)
async def create(
    request: Request,
    ledger: TheLedger,
    caller: Writer,
    name: Name,
    format: FormatName = None,
    sha256: Sha256 = None,
    metadata: Labels = None,
    content_digest: ContentDigest = None,
    idempotency_key: IdempotencyKey = None,
) -> Response:
    """Upload data for trainings: the bytes of a .jsonl, .csv or .parquet file as the body.

    They are kept once their checksum is that which was given, if any, and the first rows have
    columns that can be trained on.
    """
    kind = request.headers.get("content-type", "")
    words = words_of(name, format, kind, sha256, content_digest, metadata)
    _check_allowed(request, ledger)
    most = ledger.settings.dataset_bytes
    size = check_announced(request, most)
    uploads: Uploads = request.app.state.uploads
    with uploads.one_more(caller.owner):
        if caller.limited:
            await run_in_threadpool(_check_room, ledger, caller, size)
        with await run_in_threadpool(ledger.artifacts.draft) as draft:
            await receive(request, draft, most)
            check_sum(words, draft)
            key = key_of(idempotency_key, PATH, _said(words, draft.sha256))
            row, replayed = await run_in_threadpool(keep, ledger, caller, words, draft, key)
    headers = {"Location": f"{PATH}/{row['id']}", **({REPLAYED: "true"} if replayed else {})}
    return JSONResponse(uploaded_view(row), 201, headers)


def _check_allowed(request: Request, ledger: Ledger) -> None:
    if ledger.settings.dataset_bytes == 0:
        raise Problem(
            "uploads_off",
            "this service takes no uploads; name a dataset of GET /v1/datasets?source=registered, "
            "or have the operator set TAILORA_DATASET_BYTES",
        )
    if request.headers.get("content-encoding", "identity").lower() != "identity":
        raise Problem("media_type_unsupported", "send the bytes without a Content-Encoding")


def _check_room(ledger: Ledger, caller: Caller, size: int) -> None:
    """Before anything is read; it is checked again when all is there."""
    with ledger.database.read() as connection:
        datasets.check_room(connection, ledger.settings, caller.owner, size)


def _said(words: Words, sha256: str) -> dict[str, Any]:
    return {
        "name": words.name,
        "format": words.format,
        "labels": words.labels,
        "sha256": sha256,
    }


@router.get("", response_model=DatasetPage, operation_id="list_datasets")
def list_datasets(
    ledger: TheLedger,
    caller: Reader,
    source: Source = "uploaded",
    limit: Limit = 20,
    after: Annotated[str | None, Query(max_length=1000)] = None,
) -> dict[str, Any]:
    """The caller's uploads, newest first; or what the operator registered, by name."""
    named = {"list": "datasets", "source": source}
    last = None if after is None else decode(after, named)
    if source == "registered":
        data, more = _registered_page(ledger, last, limit)
        end = data[-1]["name"].encode().hex() if more else ""
    else:
        with ledger.database.read() as connection:
            rows = datasets.list_datasets(connection, caller.reads, before=last, limit=limit)
        data, more = [uploaded_view(row) for row in rows[:limit]], len(rows) > limit
        end = data[-1]["id"] if more else ""
    return {"data": data, "has_more": more, "next": encode(end, named) if more else None}


def _registered_page(
    ledger: Ledger, last: str | None, limit: int
) -> tuple[list[dict[str, Any]], bool]:
    """A cursor holds the name in hexadecimal, since it may have letters beyond ASCII."""
    try:
        name = bytes.fromhex(last or "").decode()
    except ValueError as error:
        raise InvalidCursor("the cursor is not of this list; start from the first page") from error
    every = registered(ledger.settings.dataset_roots)
    found = [each for each in every if each.name > name]
    return [registered_view(each) for each in found[:limit]], len(found) > limit


@router.get("/{name_or_id}", response_model=Dataset, operation_id="get_dataset")
def read(name_or_id: NameOrId, ledger: TheLedger, caller: Reader) -> dict[str, Any]:
    """A dataset, without its bytes."""
    if is_id(name_or_id):
        with ledger.database.read() as connection:
            return uploaded_view(datasets.get(connection, caller.reads, name_or_id))
    return registered_view(_registered(ledger, name_or_id))


@router.delete("/{name_or_id}", status_code=204, operation_id="delete_dataset")
def delete(name_or_id: NameOrId, ledger: TheLedger, caller: Writer) -> None:
    """Delete an uploaded dataset, unless a job needs it that has not ended."""
    if not is_id(name_or_id):
        name = _registered(ledger, name_or_id).name
        raise Conflict(f"{name} is registered; the operator removes it from its folder")
    remove(ledger, caller, name_or_id)


def _registered(ledger: Ledger, name: str) -> Registered:
    found = find(ledger.settings.dataset_roots, name)
    if found is None:
        raise NotFound(unknown(name))
    return found
