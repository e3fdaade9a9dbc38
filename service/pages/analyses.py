"""An analysis's page: alpha by layer, the table of matrices, and the spectrum of one."""

from typing import Annotated, Any

from fastapi import APIRouter, Query, Request, Response
from fastapi.responses import RedirectResponse

from analyzer.report import Analysis
from ledger.access import Ledger
from service.analyses.layers import finished_analysis, matrix_named, spectrum_of
from service.context import Reader, TheLedger
from service.figures.alphas import alphas
from service.figures.esd import esd
from service.figures.figure import Figure
from service.jobs.endpoints import JobId
from service.pages.finding import has_succeeded
from service.pages.route import PageRoute
from service.pages.series import Others, candidates, series
from service.pages.shown import Attempt, attempt, drawn
from service.pages.templating import page

MOST_ROWS = 250
"""Of the table, at a time: browsers take a second for some thousand."""

router = APIRouter(prefix="/analyses", route_class=PageRoute, include_in_schema=False)
Matrix = Annotated[str, Query(max_length=2000)]
Start = Annotated[int, Query(ge=0, le=10_000_000, description="the first row of the table")]
Law = Annotated[bool, Query(description="the Marchenko-Pastur law beside the spectrum")]


@router.get("/{job_id}")
def show(
    job_id: JobId, request: Request, ledger: TheLedger, caller: Reader,
    others: Others = (), matrix: Matrix = "", mp: Law = False,
    start: Start = 0,
) -> Response:  # fmt: skip
    """The page; with a matrix its spectrum too. htmx takes the part that it has a place for."""
    if not has_succeeded(ledger, caller, "analysis", job_id):
        return RedirectResponse(f"/jobs/{job_id}", 303)
    analysis = finished_analysis(ledger, caller, job_id)
    asked: dict[str, Any] = {"chosen": others, "matrix": matrix, "mp": mp}
    target = request.headers.get("hx-target")
    if target != "series":
        asked["density"] = _density(ledger, job_id, analysis, matrix, mp) if matrix else None
    if target == "esd":
        return page(request, "part_esd.html", **asked)
    asked |= {
        "candidates": candidates(ledger, caller, job_id, others),
        "series": series(ledger, caller, job_id, others),
    }
    if target == "series":
        return page(request, "part_series.html", **asked)
    kept = [("with", each) for each in others] + ([("mp", "true")] if mp else [])
    return page(
        request, "analysis.html", job_id=job_id, analysis=analysis, kept=kept,
        estimator=analysis.settings.estimator, start=start,
        alphas=drawn("analysis", job_id, lambda: alphas(analysis)),
        rows=analysis.matrices[start : start + MOST_ROWS], most=MOST_ROWS, **asked,
    )  # fmt: skip


def _density(ledger: Ledger, job_id: str, analysis: Analysis, name: str, law: bool) -> Attempt:
    def draw() -> Figure:
        chosen = matrix_named(analysis, job_id, name)
        return esd(analysis, chosen, spectrum_of(ledger, job_id, chosen), marchenko_pastur=law)

    words = {"matrix": name} | ({"mp": "true"} if law else {})
    return attempt("analysis", job_id, draw, **words)
