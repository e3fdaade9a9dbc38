"""Other analyses beside one on its page: alphas over a series of checkpoints."""

from dataclasses import dataclass
from typing import Annotated, Any

from fastapi import Query

from ledger.access import Ledger
from ledger.jobs import Filter, Job, get, list_jobs
from service.context import Caller
from service.figures.of_analyses import MOST_ANALYSES, Words, analysis_figure
from service.jobs.views import stamp
from service.pages.shown import Attempt, attempt

Others = Annotated[
    tuple[Annotated[str, Query(max_length=64)], ...], Query(alias="with", max_length=MOST_ANALYSES)
]


@dataclass(frozen=True, slots=True)
class Candidate:
    """An analysis that was measured the same way."""

    id: str
    model: str
    revision: str | None
    created_at: str | None


SHAPELESS = ("precision", "ranged", "solver", "stability", "draws", "seed")
"""Words by which analyses may differ and be a series all the same."""


def candidates(ledger: Ledger, caller: Caller, job_id: str, chosen: Others) -> list[Candidate]:
    """The newest of them, oldest first, and before them what is chosen otherwise."""
    with ledger.database.read() as connection:
        own = get(connection, caller.reads, "analysis", job_id)
        wanted = Filter("analysis", "succeeded", limit=5 * MOST_ANALYSES)
        rows = list_jobs(connection, caller.reads, wanted)
    found = [
        Candidate(row["id"], row["model"], row["revision"], stamp(row["created_at"]))
        for row in rows
        if row["id"] != job_id and _way(row) == _way(own)
    ][:MOST_ANALYSES]
    others = set(chosen) - {each.id for each in found}
    return [Candidate(each, "", None, None) for each in sorted(others)] + found[::-1]


def _way(job: Job) -> dict[str, Any]:
    words = job["request"]["words"]
    return {name: value for name, value in words.items() if name not in SHAPELESS}


def series(ledger: Ledger, caller: Caller, job_id: str, others: Others) -> Attempt | None:
    """The figure, in the order in which they were made; None where no others were named."""
    if not others:
        return None
    first, *later = sorted((job_id, *others))  # ids rise with time
    return attempt(
        "analysis", first,
        lambda: analysis_figure(ledger, caller, first, "checkpoints", Words(), later),
        **{"with": later},
    )  # fmt: skip
