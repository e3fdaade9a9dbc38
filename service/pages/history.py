"""Jobs of a kind, newest first, with filters."""

from dataclasses import asdict, replace
from typing import Annotated, Literal, get_args

from fastapi import APIRouter, Query, Request, Response

from ledger import jobs
from ledger.cursors import decode, encode
from ledger.jobs import Filter
from service.context import Reader, TheLedger
from service.jobs.schemas import Status
from service.jobs.views import envelopes
from service.pages.route import PageRoute
from service.pages.templating import page

Kind = Literal["plan", "analysis", "training", "comparison"]
SHOWN = 25
router = APIRouter(route_class=PageRoute, include_in_schema=False)


@router.get("/history")
def history(
    request: Request,
    ledger: TheLedger,
    caller: Reader,
    kind: Kind = "plan",
    status: Status | Literal[""] = "",
    model: Annotated[str, Query(max_length=400)] = "",
    after: Annotated[str | None, Query(max_length=300)] = None,
) -> Response:
    """The page, 25 jobs at a time."""
    wanted = Filter(kind, status or None, model.strip() or None, limit=SHOWN)
    named = {name: value for name, value in asdict(wanted).items() if name != "limit"}
    if after is not None:
        wanted = replace(wanted, before=decode(after, named))
    with ledger.database.read() as connection:
        found = jobs.list_jobs(connection, caller.reads, wanted)
        shown = envelopes(connection, found[:SHOWN])
    following = encode(found[SHOWN - 1]["id"], named) if len(found) > SHOWN else None
    return page(
        request, "history.html", jobs=shown, following=following, kind=kind, wanted=status,
        model=model, kinds=get_args(Kind), states=get_args(Status),
    )  # fmt: skip
