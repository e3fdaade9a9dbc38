"""A plan's form: what it shows of the plan, and the request that its changes make."""

from allocator.methods import METHODS
from allocator.plan import Plan
from analyzer.tails import estimator_named
from ledger.access import Ledger
from ledger.jobs import Job, get
from service.context import Caller
from service.jobs.views import View
from service.pages.forms import Fields, parameters_of, request_of, shown_parameters
from service.pages.options import ADAPTER, COUNTS, text_of
from service.plans.schemas import PlanRequest
from worker.requests import MeasuringWords
from worker.steps import analysis_words

CHANGED = ("expert_budget", "method", "estimator", *COUNTS, *ADAPTER)
"""What the form may change; what it leaves out is at its default."""


def shown_values(found: View, plan: Plan) -> dict[str, str]:
    """The fields of the form as they were for this plan."""
    words = found.envelope["request"]
    own = {name: text_of(words[name]) for name in ("estimator", *COUNTS, *ADAPTER)}
    budget = {"method": plan.method, "expert_budget": f"{plan.budget.experts}"}
    return {**own, **budget, **_method_options(plan)}


def changed_request(ledger: Ledger, caller: Caller, job_id: str, fields: Fields) -> PlanRequest:
    """The plan's own request with the form's changes; what was measured is not asked for again.

    Raises NotFound, Problem or InvalidRequest.
    """
    with ledger.database.read() as connection:
        job = get(connection, caller.reads, "plan", job_id)
        measured = job["analysis_id"] is not None and _carries(
            get(connection, caller.reads, "analysis", job["analysis_id"]),
            fields.get("estimator", "hill"),
        )
    left_out = {"beta", "shape", "counts", "budget_kind", *CHANGED}
    if measured:
        left_out |= MeasuringWords.model_fields.keys() - {"estimator"}
        subject = {"analysis_id": job["analysis_id"]}
    else:
        subject = {"model": job["model"], "revision": job["revision"]}
    kept = {name: value for name, value in job["request"]["words"].items() if name not in left_out}
    changes = {name: fields[name] for name in CHANGED if name in fields}
    words = {**kept, **subject, **changes, "parameters": parameters_of(fields)}
    return request_of(PlanRequest, words)


def _carries(analysis: Job, estimator: str) -> bool:
    """Whether the estimator can be fitted to the eigenvalues that the analysis has kept."""
    needed = estimator_named(estimator).precision
    return needed in ("float32", analysis_words(analysis).options().solved_precision)


def _method_options(plan: Plan) -> dict[str, str]:
    """The method's options that the plan was made with, as fields of the form."""
    names = METHODS[plan.method].parameters.model_fields if plan.method in METHODS else ()
    own = {name: plan.parameters[name] for name in names if name in plan.parameters}
    return shown_parameters(plan.method, own)
