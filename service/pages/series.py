"""Other analyses beside one on its page: alphas over a series of checkpoints."""

from dataclasses import dataclass
from typing import Annotated

from fastapi import Query

from ledger.access import Ledger
from ledger.jobs import Filter, get, list_jobs
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


def candidates(ledger: Ledger, caller: Caller, job_id: str) -> list[Candidate]:
    """The newest of them, oldest first: in the order in which checkpoints come to be."""
    with ledger.database.read() as connection:
        own = get(connection, caller.reads, "analysis", job_id)
        wanted = Filter("analysis", "succeeded", limit=5 * MOST_ANALYSES)
        rows = list_jobs(connection, caller.reads, wanted)
    found = [
        Candidate(row["id"], row["model"], row["revision"], stamp(row["created_at"]))
        for row in rows
        if row["id"] != job_id and row["request"]["words"] == own["request"]["words"]
    ]
    return found[:MOST_ANALYSES][::-1]


def series(ledger: Ledger, caller: Caller, job_id: str, others: Others) -> Attempt | None:
    """The figure; None where no others were named."""
    if not others:
        return None
    return attempt(
        "analysis", job_id,
        lambda: analysis_figure(ledger, caller, job_id, "checkpoints", Words(), list(others)),
        **{"with": others},
    )  # fmt: skip
