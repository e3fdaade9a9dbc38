"""How a training goes: its metrics, and what it could go on from."""

from typing import Annotated, Any

from fastapi import APIRouter, Query

from ledger.jobs import get
from ledger.runs import list_checkpoints, list_metrics
from service.context import Reader, TheLedger
from service.jobs.endpoints import JobId
from service.jobs.views import stamp
from service.trainings.schemas import Checkpoints, MetricsPage

MOST_WITH_MIXTURES = 100
"""A line of a large model has hundreds of routers."""


def add_progress(router: APIRouter) -> None:
    """Add the endpoints to the router of trainings."""

    @router.get("/{job_id}/metrics", response_model=MetricsPage, operation_id="training_metrics")
    def metrics(
        job_id: JobId,
        ledger: TheLedger,
        caller: Reader,
        after_step: Annotated[int, Query(ge=-1, le=2**31 - 1)] = -1,
        max_points: Annotated[int, Query(ge=1, le=10_000)] = 1000,
        mixtures: bool = False,
    ) -> dict[str, Any]:
        """Lines of steps above `after_step`; evenly thinned where there are more.

        With `mixtures` each says what every router did, and there are 100 at most.
        """
        most = min(max_points, MOST_WITH_MIXTURES) if mixtures else max_points
        with ledger.database.read() as connection:
            get(connection, caller.reads, "training", job_id)
            found = list_metrics(connection, job_id, after=after_step, most=most, mixtures=mixtures)
        return {"data": found}

    @router.get(
        "/{job_id}/checkpoints", response_model=Checkpoints, operation_id="training_checkpoints"
    )
    def checkpoints(job_id: JobId, ledger: TheLedger, caller: Reader) -> dict[str, Any]:
        """What the training could go on from; none once it has succeeded."""
        with ledger.database.read() as connection:
            get(connection, caller.reads, "training", job_id)
            found = list_checkpoints(connection, job_id)
        data = [
            {"step": row["step"], "bytes": row["bytes"], "created_at": stamp(row["created_at"])}
            for row in found
        ]
        return {"data": data}
