"""GET /v1/plans/{id}/figures/{name}."""

from typing import Annotated

from fastapi import APIRouter, Query, Request, Response
from fastapi.concurrency import run_in_threadpool

from allocator.plan import Plan
from allocator.read import read_plan
from ledger.access import Ledger
from service.context import Caller, Reader, TheLedger
from service.figures.answering import FIGURE_RESPONSES, HowRendered, answer
from service.figures.budgets import budgets
from service.figures.catalogue import check_name
from service.figures.errors import NothingToDraw
from service.figures.experts import experts
from service.figures.figure import Figure
from service.figures.plans import plans, stability
from service.jobs.endpoints import JobId
from service.jobs.views import document_text, view
from service.problems import Problem

MOST_SHAPES = 6
Shapes = Annotated[
    list[Annotated[str, Query(max_length=100)]],
    Query(max_length=MOST_SHAPES, description="experts: MoLA's shapes to compare with"),
]
Other = Annotated[
    str | None, Query(alias="with", max_length=64, description="plans: the id of another plan")
]


def add_plan_figures(router: APIRouter) -> None:
    """Add the endpoint to the router of plans."""

    @router.get(
        "/{job_id}/figures/{name}", operation_id="get_plan_figure", responses=FIGURE_RESPONSES
    )
    async def figure(
        job_id: JobId,
        name: str,
        request: Request,
        ledger: TheLedger,
        caller: Reader,
        how: HowRendered,
        shape: Shapes = [],  # noqa: B006
        other: Other = None,
    ) -> Response:
        """A figure of a plan: experts, plans (beside another one), stability or budgets."""
        made = await run_in_threadpool(plan_figure, ledger, caller, job_id, name, shape, other)
        return await answer(request, made, how)


def plan_figure(
    ledger: Ledger, caller: Caller, job_id: str, name: str, shapes: list[str], other: str | None
) -> Figure:
    """A figure of that name; page and API make theirs here. Raises what says why there is none."""
    check_name("plan", name)
    plan = _plan(ledger, caller, job_id)
    if name == "experts":
        return experts(plan, shapes=shapes)
    if name == "stability":
        return stability(plan)
    if name == "budgets":
        return budgets(plan)
    if other is None:
        raise NothingToDraw("two plans are needed; name the other one as `with=pln_…`")
    return plans(plan, _plan(ledger, caller, other), (_short(job_id), _short(other)))


def _short(job_id: str) -> str:
    """By its end: ids of one minute begin alike."""
    return f"…{job_id[-8:]}"


def _plan(ledger: Ledger, caller: Caller, job_id: str) -> Plan:
    with ledger.database.read() as connection:
        found = view(connection, caller.reads, "plan", job_id)
        text = document_text(ledger, connection, found)
    if text is None:
        raise Problem(
            "plan_not_ready", f"{job_id} is {found.job['state']}; ask again once it has succeeded"
        )
    return read_plan(text)
