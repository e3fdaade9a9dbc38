"""The steps of a job: outline, units, and that it is ready to be assembled."""

from dataclasses import asdict
from typing import Any

from sqlalchemy import Connection, select, update

from allocator.planner import check_feasible, make_plan
from analyzer.outline import Outline
from ledger.access import Ledger
from ledger.adding import add_unit
from ledger.events import record
from ledger.jobs import Job, by_id
from ledger.outlines import KnownModel, get_outline
from ledger.settle import fail_job, linked_jobs, settle_job
from ledger.states import LIVE
from ledger.tables import jobs
from worker import segments
from worker.codes import EXPECTED, error_of
from worker.dividing import add_units, outline_unit
from worker.passes import passes_of
from worker.requests import AnalysisWords, PlanWords
from worker.sources import Place


def place_of(job: Job) -> Place:
    """Where the job's model lies."""
    return Place(**job["request"]["place"])


def analysis_words(job: Job) -> AnalysisWords:
    """How an analysis job measures."""
    return AnalysisWords.model_validate(job["request"]["words"])


def plan_words(job: Job) -> PlanWords:
    """What a plan job is asked for."""
    return PlanWords.model_validate(job["request"]["words"])


def check_plan(outline: Outline, words: PlanWords) -> None:
    """Refuse what no alphas could make a plan of. Raises AllocatorError or AnalyzerError."""
    options = words.plan_options()
    if check_feasible(outline, options):
        passes_of(words.analysis(), outline)
    else:
        make_plan(outline, options)


def check_if_known(ledger: Ledger, outline_key: str, words: PlanWords) -> bool:
    """Refuse it before anything is written, where the model's outline is known; whether it is.

    Raises alike.
    """
    with ledger.database.read() as connection:
        known = get_outline(connection, ledger.artifacts, outline_key)
    if known is None:
        return False
    check_plan(known.outline, words)
    return True


def begin(connection: Connection, ledger: Ledger, job_id: str) -> bool:
    """Give a queued job its units; whether it is ready to be assembled at once.

    Where nobody has read the model's outline yet, a unit for that comes first. A training has one
    unit after the other.
    """
    job = by_id(connection, job_id)
    assert job is not None
    if job["kind"] in segments.KINDS:
        segments.add_segment(connection, job_id)
        return False
    known = get_outline(connection, ledger.artifacts, job["outline_key"])
    if known is not None:
        return advance(connection, ledger, job, known)
    unit = outline_unit(place_of(job), job["outline_key"], ledger.settings.deadline)
    add_unit(connection, job_id, unit)
    return False


def advance(connection: Connection, ledger: Ledger, job: Job, known: KnownModel) -> bool:
    """Go on with a job whose model's outline is known; whether it is ready to be assembled.

    A request that cannot be met fails here, before any weight is read.
    """
    try:
        if job["kind"] == "analysis":
            _check_plan(connection, job, known)
            _measure(connection, ledger, job, known)
    except EXPECTED as error:
        fail_job(connection, job["id"], error_of(error))
        return False
    return settle_job(connection, job["id"])


def _check_plan(connection: Connection, job: Job, known: KnownModel) -> None:
    """Refuse an analysis whose own plan cannot be made of any alphas."""
    if job["parent_id"] is None:
        return
    plan = by_id(connection, job["parent_id"])
    if plan is not None:
        check_plan(known.outline, plan_words(plan))


def _measure(connection: Connection, ledger: Ledger, job: Job, known: KnownModel) -> None:
    payload: dict[str, Any] = {
        "place": asdict(place_of(job)),
        "outline_key": job["outline_key"],
    }
    words = analysis_words(job)
    stored, units = add_units(connection, ledger, job["id"], words, known, payload)
    connection.execute(
        update(jobs).where(jobs.c.id == job["id"]).values(phase="measuring", stored=stored)
    )
    message = f"{stored} spectra are stored already, {units} units are to be done"
    record(connection, job["id"], "planned", message, data={"stored": stored, "units": units})


def outline_known(connection: Connection, ledger: Ledger, unit_id: str, known: KnownModel) -> None:
    """Go on with every live job that waited for an outline."""
    for job_id in linked_jobs(connection, unit_id, LIVE):
        job = connection.execute(select(jobs).where(jobs.c.id == job_id)).mappings().one()
        record(connection, job_id, "outlined", f"{len(known.outline.matrices)} matrices")
        advance(connection, ledger, job, known)
