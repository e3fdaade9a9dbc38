"""The first page: a new plan, and what it would take."""

import json
from collections.abc import Mapping
from typing import Annotated, Any

from fastapi import APIRouter, Query, Request, Response
from fastapi.concurrency import run_in_threadpool
from fastapi.responses import RedirectResponse

from allocator.methods import METHODS
from analyzer.outline import Outline
from analyzer.tails import ESTIMATORS
from ledger.access import Ledger
from service.context import Caller, Reader, TheLedger, Writer
from service.jobs.submission import resolver_of
from service.jobs.waiting import wait_for_end
from service.models.endpoints import DEFAULT_WAIT, answer_look, submit_look
from service.pages.failing import told
from service.pages.forms import Fields, Form, parameters_of, request_of
from service.pages.options import NEW_PLAN
from service.pages.route import PageRoute
from service.pages.templating import page
from service.plans.endpoints import submit_and_look
from service.plans.schemas import PlanRequest
from service.problems import KNOWN_ERRORS, TITLES, problem_of

router = APIRouter(route_class=PageRoute, include_in_schema=False)
Model = Annotated[str, Query(max_length=400)]
Revision = Annotated[str, Query(max_length=200)]


@router.get("/")
async def start(
    request: Request, ledger: TheLedger, caller: Reader, model: Model = "", revision: Revision = ""
) -> Response:
    """The form; with a model in the address also what its headers say."""
    values = {name: text for name, text in request.query_params.items() if text}
    found = await _estimate(request, ledger, caller, model, revision) if model else {}
    return _form(request, values, **found)


@router.get("/estimate")
async def estimate(
    request: Request, ledger: TheLedger, caller: Reader, model: Model = "", revision: Revision = ""
) -> Response:
    """That part of the page alone."""
    found = await _estimate(request, ledger, caller, model.strip(), revision) if model else {}
    return page(request, "part_estimate.html", **{**EMPTY, **found})


@router.post("/")
async def submit(request: Request, ledger: TheLedger, caller: Writer, fields: Form) -> Response:
    """Submit, and go to the plan or to its job; the form with what is wrong where it cannot be."""
    try:
        asked = plan_request(fields)
        done, _ = await run_in_threadpool(submit_and_look, request, ledger, caller, asked, None)
    except KNOWN_ERRORS as error:
        problem = problem_of(error)
        return _form(request, fields, status=TITLES[problem.code][0], problem=told(problem))
    return RedirectResponse(f"/plans/{done.job_id}", 303)


def plan_request(fields: Fields) -> PlanRequest:
    """What the API would be asked. Raises Problem or InvalidRequest."""
    told = {name: fields[name] for name in fields.keys() & PlanRequest.model_fields.keys()}
    return request_of(PlanRequest, {**told, "parameters": parameters_of(fields)})


EMPTY: Mapping[str, Any] = {"outline": None, "waiting": False, "problem": None}


def _form(
    request: Request, values: Mapping[str, str], *, status: int = 200, **found: Any
) -> Response:
    return page(
        request, "start.html", status=status, values=values, methods=METHODS,
        estimators=ESTIMATORS, groups=NEW_PLAN, **{**EMPTY, **found},
    )  # fmt: skip


async def _estimate(
    request: Request, ledger: Ledger, caller: Caller, model: str, revision: str
) -> dict[str, Any]:
    """The outline, that it is being read, or the problem with it."""
    try:
        job_id = await run_in_threadpool(
            submit_look, ledger, resolver_of(request), caller, model, revision or None
        )
        await wait_for_end(ledger, job_id, DEFAULT_WAIT)
        answer = await run_in_threadpool(answer_look, ledger, caller, job_id, request)
    except KNOWN_ERRORS as error:
        return {"problem": told(problem_of(error))}
    outline = json.loads(bytes(answer.body))["outline"] if answer.status_code == 200 else None
    if outline is None:
        return {"waiting": True}
    return {"outline": Outline.model_validate(outline)}
