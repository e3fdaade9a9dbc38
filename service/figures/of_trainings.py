"""GET /v1/trainings/{id}/figures/{name}, and the same of comparisons."""

from typing import Annotated, Any

from fastapi import APIRouter, Query, Request, Response
from fastapi.concurrency import run_in_threadpool
from sqlalchemy import Connection

from ledger.access import Ledger
from ledger.jobs import get
from ledger.runs import list_metrics
from service.comparisons.schemas import ComparisonResult
from service.context import Caller, Reader, TheLedger
from service.figures.answering import FIGURE_RESPONSES, HowRendered, answer
from service.figures.catalogue import check_name
from service.figures.comparison import comparison
from service.figures.figure import Figure
from service.figures.load import load
from service.figures.training import training
from service.jobs.endpoints import JobId
from service.jobs.views import document_text, view
from service.problems import Problem

MOST_POINTS = 2000
Step = Annotated[int | None, Query(ge=0, le=2**31 - 1, description="load: by default the last")]
Module = Annotated[str | None, Query(max_length=2000, description="load: such as q_proj")]


def add_training_figures(router: APIRouter) -> None:
    """Add the endpoint to the router of trainings."""

    @router.get(
        "/{job_id}/figures/{name}", operation_id="get_training_figure", responses=FIGURE_RESPONSES
    )
    async def figure(
        job_id: JobId,
        name: str,
        request: Request,
        ledger: TheLedger,
        caller: Reader,
        how: HowRendered,
        step: Step = None,
        module: Module = None,
    ) -> Response:
        """A figure of a training, as far as it is: training (loss, speed) or load (of experts)."""
        made = await run_in_threadpool(training_figure, ledger, caller, job_id, name, step, module)
        return await answer(request, made, how)


def add_comparison_figures(router: APIRouter) -> None:
    """Add the endpoint to the router of comparisons."""

    @router.get(
        "/{job_id}/figures/{name}",
        operation_id="get_comparison_figure",
        responses=FIGURE_RESPONSES,
    )
    async def figure(
        job_id: JobId,
        name: str,
        request: Request,
        ledger: TheLedger,
        caller: Reader,
        how: HowRendered,
    ) -> Response:
        """A figure of a comparison: comparison (arms with their intervals, and differences)."""
        made = await run_in_threadpool(_comparison, ledger, caller, job_id, name)
        return await answer(request, made, how)


def training_figure(
    ledger: Ledger,
    caller: Caller,
    job_id: str,
    name: str,
    step: int | None = None,
    module: str | None = None,
) -> Figure:
    """A figure of that name; page and API make theirs here. Raises what says why there is none."""
    check_name("training", name)
    with ledger.database.read() as connection:
        job = get(connection, caller.reads, "training", job_id)
        lines = list_metrics(connection, job_id, most=MOST_POINTS)
        if name == "load":
            lines = _with_mixtures(connection, job_id, lines, step)
    title = _title(job)
    if name == "load":
        return load(lines, step=step, module=module, title=title)
    return training(lines, title=title)


def _with_mixtures(
    connection: Connection, job_id: str, lines: list[dict[str, Any]], step: int | None
) -> list[dict[str, Any]]:
    """The one line that is wanted, with what routers did; all as they are where it is not there."""
    if step is None and lines:
        step = lines[-1]["step"]
    if step is None:
        return lines
    found = list_metrics(connection, job_id, after=step - 1, until=step, mixtures=True)
    return found or lines


def _title(job: Any) -> str:
    return f"training of {job['model']}" if job["model"] else "training"


def _comparison(ledger: Ledger, caller: Caller, job_id: str, name: str) -> Figure:
    check_name("comparison", name)
    with ledger.database.read() as connection:
        found = view(connection, caller.reads, "comparison", job_id)
        text = document_text(ledger, connection, found)
    if text is None:
        raise Problem(
            "conflict", f"{job_id} is {found.job['state']}; ask again once it has succeeded"
        )
    return comparison(ComparisonResult.model_validate_json(text).comparison)
