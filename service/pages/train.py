"""From a plan to a training, or to a comparison: the form, and the job that it asks for."""

from collections.abc import Callable, Mapping
from typing import Any

from fastapi import APIRouter, Request, Response
from fastapi.concurrency import run_in_threadpool
from fastapi.responses import RedirectResponse

from ledger.access import Ledger
from service.comparisons.schemas import ComparisonRequest
from service.context import Caller, Reader, TheLedger, Writer
from service.jobs.endpoints import JobId
from service.pages.datasets import offers_to
from service.pages.failing import told
from service.pages.finding import find_plan
from service.pages.forms import Fields, Form, listed, request_of
from service.pages.presence import missing_worker
from service.pages.recipes import preset_words, settings, settings_of
from service.pages.route import PageRoute
from service.pages.templating import page
from service.problems import KNOWN_ERRORS, TITLES, problem_of
from service.trainings.accepting import accept_comparison, accept_training
from service.trainings.schemas import TrainingRequest
from trainer.presets import preset_of

OWN_ARM = "plan"
"""What the plan itself is called among the arms."""

router = APIRouter(prefix="/plans", route_class=PageRoute, include_in_schema=False)


@router.get("/{job_id}/compare")
@router.get("/{job_id}/train")
def form(job_id: JobId, request: Request, ledger: TheLedger, caller: Reader) -> Response:
    """The form; fields that the address names are filled in."""
    values = {name: text for name, text in request.query_params.items() if text}
    return _form(request, ledger, caller, job_id, values)


@router.post("/{job_id}/train")
async def train(
    job_id: JobId, request: Request, ledger: TheLedger, caller: Writer, fields: Form
) -> Response:
    """Submit as the API does, and go to the training; else the form with what is wrong."""
    return await _started(_train, request, ledger, caller, job_id, fields)


@router.post("/{job_id}/compare")
async def compare(
    job_id: JobId, request: Request, ledger: TheLedger, caller: Writer, fields: Form
) -> Response:
    """The same of a comparison with other arms."""
    return await _started(_compare, request, ledger, caller, job_id, fields)


Start = Callable[[Ledger, Caller, str, Fields], str]
"""Submits what a form asks for; the address of what comes of it."""


async def _started(
    start: Start, request: Request, ledger: Ledger, caller: Caller, job_id: str, fields: Fields
) -> Response:
    try:
        place = await run_in_threadpool(start, ledger, caller, job_id, fields)
    except KNOWN_ERRORS as error:
        problem = problem_of(error)
        return await run_in_threadpool(
            _form, request, ledger, caller, job_id, fields,
            status=TITLES[problem.code][0], problem=told(problem),
        )  # fmt: skip
    return RedirectResponse(place, 303)


def _train(ledger: Ledger, caller: Caller, plan_id: str, fields: Fields) -> str:
    asked = request_of(TrainingRequest, {**_words(fields), "plan_id": plan_id})
    done = accept_training(ledger, caller, asked.words(), asked.metadata, None)
    return f"/trainings/{done.job_id}"


def _compare(ledger: Ledger, caller: Caller, plan_id: str, fields: Fields) -> str:
    arms = {
        "plans": {OWN_ARM: plan_id},
        "against": listed(fields.get("against", "")),
        "seeds": listed(fields.get("seeds", "0 1 2").replace(",", " ")),
    }
    asked = request_of(ComparisonRequest, {**_words(fields), **arms})
    done = accept_comparison(ledger, caller, asked.words(), asked.metadata, None)
    return f"/comparisons/{done.job_id}"


def _words(fields: Fields) -> dict[str, Any]:
    """What trainings and comparisons share."""
    named = {name: fields.get(name) for name in ("dataset", "held_out", "preset")}
    return {**named, "settings": settings_of(fields)}


def _form(
    request: Request,
    ledger: Ledger,
    caller: Caller,
    job_id: str,
    values: Mapping[str, str],
    *,
    status: int = 200,
    problem: Mapping[str, Any] | None = None,
) -> Response:
    """Raises NotFound where the caller has no such plan."""
    found, plan = find_plan(ledger, caller, job_id)
    if plan is None:
        return RedirectResponse(f"/jobs/{job_id}", 303)
    with ledger.database.read() as connection:
        missing = missing_worker(connection, "training", ledger.settings.presence)
    return page(
        request, "train.html", status=status, job=found.envelope, plan=plan, problem=problem,
        values=values, offers=offers_to(ledger, caller), presets=preset_words(),
        usual=preset_of(plan), settings=settings(), missing=missing,
        place=f"/plans/{job_id}", comparing=request.url.path.endswith("/compare"),
        base=str(request.base_url).rstrip("/"),
    )  # fmt: skip
