"""What a plan's page shows beside the plan: another plan, MoLA's shapes, other budgets and
estimators.
"""

from dataclasses import dataclass
from typing import Annotated
from urllib.parse import urlencode

from fastapi import Depends, Query
from sqlalchemy import Connection

from allocator.plan import Plan
from ledger.access import Ledger
from ledger.jobs import Filter, Job, list_jobs
from service.context import Caller
from service.figures.experts import experts
from service.figures.of_plans import MOST_SHAPES, plan_figure
from service.jobs.views import stamp
from service.pages.options import text_of
from service.pages.shown import Attempt, attempt

MOST_PLANS = 50


@dataclass(frozen=True, slots=True)
class Beside:
    """What was asked for, in the page's address."""

    other: str = ""
    shapes: tuple[str, ...] = ()
    budgets: bool = False
    stability: bool = False

    @property
    def query(self) -> str:
        """As the address has it; empty where nothing was asked for."""
        words: dict[str, str | tuple[str, ...]] = {}
        if self.other:
            words["with"] = self.other
        if self.shapes:
            words["shape"] = self.shapes
        words |= {name: "true" for name in ("budgets", "stability") if getattr(self, name)}
        return f"?{urlencode(words, doseq=True)}" if words else ""


def _asked(
    other: Annotated[str, Query(alias="with", max_length=64)] = "",
    shape: Annotated[
        tuple[Annotated[str, Query(max_length=100)], ...], Query(max_length=MOST_SHAPES)
    ] = (),
    budgets: bool = False,
    stability: bool = False,
) -> Beside:
    return Beside(other, shape, budgets, stability)


AskedBeside = Annotated[Beside, Depends(_asked)]


@dataclass(frozen=True, slots=True)
class Candidate:
    """Another plan of the model."""

    id: str
    method: str
    budget: str
    created_at: str | None


def candidates(connection: Connection, caller: Caller, job: Job, asked: Beside) -> list[Candidate]:
    """The newest plans of the same model, and the one that is shown."""
    wanted = Filter("plan", "succeeded", job["model"], limit=MOST_PLANS)
    found = [_candidate(each) for each in list_jobs(connection, caller.reads, wanted)]
    found = [each for each in found[:MOST_PLANS] if each.id != job["id"]]
    if asked.other and asked.other not in (each.id for each in found):
        found.append(Candidate(asked.other, "", "", None))
    return found


def _candidate(job: Job) -> Candidate:
    words = job["request"]["words"]
    budget, kind = words.get("expert_budget"), words.get("budget_kind", "experts")
    return Candidate(
        job["id"],
        str(words.get("method", "")),
        "" if budget is None else f"{text_of(budget)}{'' if kind == 'experts' else f' ({kind})'}",
        stamp(job["created_at"]),
    )


def bars_of(job_id: str, plan: Plan, asked: Beside) -> list[Attempt]:
    """The plan's bars with the shapes; without them, and why, where they cannot be."""
    with_shapes = attempt(
        "plan", job_id, lambda: experts(plan, shapes=asked.shapes), shape=asked.shapes
    )
    if with_shapes.problem is None:
        return [with_shapes]
    return [attempt("plan", job_id, lambda: experts(plan)), with_shapes]


def figures_beside(ledger: Ledger, caller: Caller, job_id: str, asked: Beside) -> list[Attempt]:
    """The further figures that were asked for."""

    def made(name: str, other: str | None = None, **words: str) -> Attempt:
        return attempt(
            "plan", job_id, lambda: plan_figure(ledger, caller, job_id, name, [], other), **words
        )

    found = [made("plans", asked.other, **{"with": asked.other})] if asked.other else []
    return found + [made(name) for name in ("budgets", "stability") if getattr(asked, name)]
