"""A plan's page: bars, another budget or method at once, and the plan to take along."""

from dataclasses import dataclass
from typing import Any

from fastapi import APIRouter, Request, Response
from fastapi.concurrency import run_in_threadpool
from fastapi.responses import RedirectResponse

from allocator.methods import METHODS
from allocator.mola import SHAPES
from allocator.plan import Plan
from analyzer.tails import ESTIMATORS
from ledger.access import Ledger
from service.context import Caller, Reader, TheLedger, Writer
from service.jobs.endpoints import JobId
from service.jobs.views import View, document_text, view
from service.jobs.waiting import wait_for_end
from service.pages.beside import AskedBeside, Beside, bars_of, candidates, figures_beside
from service.pages.failing import told
from service.pages.finding import find_plan
from service.pages.forms import Fields, Form
from service.pages.options import SAME_ALPHAS
from service.pages.repeating import command_of, curl_of
from service.pages.replanning import changed_request, shown_values
from service.pages.route import PageRoute
from service.pages.templating import by_htmx, page
from service.plans.endpoints import submit_and_look
from service.problems import KNOWN_ERRORS, TITLES, problem_of

A_MOMENT = 3.0
"""Seconds that a changed plan may take before its job's page is shown instead."""

router = APIRouter(prefix="/plans", route_class=PageRoute, include_in_schema=False)


@router.get("/{job_id}")
def show(
    job_id: JobId, request: Request, ledger: TheLedger, caller: Reader, beside: AskedBeside
) -> Response:
    """The page, with what is asked for beside the plan; that of the job where it is not there yet.

    htmx takes the part with the plan.
    """
    asked = _Asked(request, ledger, caller, beside)
    found, plan = find_plan(ledger, caller, job_id)
    if plan is None:
        return RedirectResponse(f"/jobs/{job_id}", 303)
    return asked.page(found, plan)


@router.get("/{job_id}/plan.json")
def download(job_id: JobId, ledger: TheLedger, caller: Reader) -> Response:
    """The untouched plan as a file, as `tailora plan --json` prints it. Raises NotFound."""
    with ledger.database.read() as connection:
        text = document_text(ledger, connection, view(connection, caller.reads, "plan", job_id))
    if text is None:
        return RedirectResponse(f"/jobs/{job_id}", 303)
    disposition = {"Content-Disposition": f'attachment; filename="{job_id}.json"'}
    return Response(text, headers=disposition, media_type="application/json")


@router.post("/{job_id}/again")
async def again(
    job_id: JobId, request: Request, ledger: TheLedger, caller: Writer, fields: Form,
    beside: AskedBeside,
) -> Response:  # fmt: skip
    """A plan from the same analysis with another budget or method; the one that was shown stays."""
    asked = _Asked(request, ledger, caller, beside)
    try:
        wanted = await run_in_threadpool(changed_request, ledger, caller, job_id, fields)
        done, _ = await run_in_threadpool(submit_and_look, request, ledger, caller, wanted, None)
    except KNOWN_ERRORS as error:
        return await run_in_threadpool(_refused, asked, job_id, fields, error)
    place = f"/plans/{done.job_id}{beside.query}"
    if not by_htmx(request):
        return RedirectResponse(place, 303)
    await wait_for_end(ledger, done.job_id, A_MOMENT)
    found, plan = await run_in_threadpool(find_plan, ledger, caller, done.job_id)
    if plan is None:
        return Response(headers={"HX-Redirect": f"/jobs/{done.job_id}"})
    return await run_in_threadpool(asked.page, found, plan, headers={"HX-Replace-Url": place})


@dataclass(frozen=True, slots=True)
class _Asked:
    """Who asks for a plan's page, and with what beside the plan."""

    request: Request
    ledger: Ledger
    caller: Caller
    beside: Beside

    def page(
        self, found: View, plan: Plan, *, given: Fields | None = None,
        problem: dict[str, str] | None = None, **answer: Any,
    ) -> Response:  # fmt: skip
        """The page; for htmx the part of it with the plan."""
        job, beside = found.envelope, self.beside
        with self.ledger.database.read() as connection:
            others = candidates(connection, self.caller, found.job, beside)
        return page(
            self.request, "part_plan.html" if by_htmx(self.request) else "plan.html",
            job=job, plan=plan, methods=METHODS, estimators=ESTIMATORS, groups=SAME_ALPHAS,
            problem=problem, values=shown_values(found, plan) if given is None else given,
            bars=bars_of(job["id"], plan, beside), beside=beside, others=others, shapes=SHAPES,
            further=figures_beside(self.ledger, self.caller, job["id"], beside),
            curl=curl_of(job, str(self.request.base_url)), command=command_of(job, plan), **answer,
        )  # fmt: skip


def _refused(asked: _Asked, job_id: str, fields: Fields, error: Exception) -> Response:
    """The plan as it was, with what is wrong; htmx swaps answers that have succeeded alone."""
    found, plan = find_plan(asked.ledger, asked.caller, job_id)
    problem = problem_of(error)
    if plan is None:
        raise problem
    status = 200 if by_htmx(asked.request) else TITLES[problem.code][0]
    return asked.page(found, plan, status=status, given=fields, problem=told(problem))
