"""A comparison's page: how far it is, then verdict, arms with intervals, and runs."""

from fastapi import APIRouter, Request, Response

from service.comparisons.schemas import ComparisonResult
from service.context import Reader, TheLedger
from service.figures.comparison import comparison
from service.jobs.endpoints import JobId
from service.jobs.views import document_text, view
from service.pages.failing import told_of
from service.pages.presence import missing_worker
from service.pages.route import PageRoute
from service.pages.shown import drawn
from service.pages.templating import page
from trainer.compare.table import columns_of, rows_of, title_of

router = APIRouter(prefix="/comparisons", route_class=PageRoute, include_in_schema=False)


@router.get("/{job_id}")
def show(job_id: JobId, request: Request, ledger: TheLedger, caller: Reader) -> Response:
    """The page; htmx takes it again and again while the comparison goes on."""
    with ledger.database.read() as connection:
        found = view(connection, caller.reads, "comparison", job_id)
        text = document_text(ledger, connection, found)
        missing = missing_worker(connection, "comparison", ledger.settings.presence)
    job = found.envelope
    compared = ComparisonResult.model_validate_json(text).comparison if text else None
    return page(
        request,
        "comparison.html",
        job=job,
        ended=found.ended,
        missing=missing,
        error=job["error"] and told_of(job["error"]["code"], job["error"]["detail"]),
        compared=compared,
        columns=columns_of(compared) if compared else (),
        rows=rows_of(compared) if compared else (),
        caption=title_of(compared) if compared else "",
        arms=compared and drawn("comparison", job_id, lambda: comparison(compared)),
    )
