"""An analysis's page: alpha by layer, the table of matrices, and the spectrum of one."""

from typing import Annotated

from fastapi import APIRouter, Query, Request, Response
from fastapi.responses import RedirectResponse

from analyzer.report import Analysis
from service.analyses.layers import finished, matrix_named, spectrum_of
from service.context import Reader, TheLedger
from service.figures.alphas import alphas
from service.figures.errors import FigureError
from service.figures.esd import esd
from service.jobs.endpoints import JobId
from service.pages.figures import ShownFigure
from service.pages.finding import has_succeeded
from service.pages.route import PageRoute
from service.pages.templating import by_htmx, page

router = APIRouter(prefix="/analyses", route_class=PageRoute, include_in_schema=False)
Matrix = Annotated[str, Query(max_length=2000)]


@router.get("/{job_id}")
def show(
    job_id: JobId, request: Request, ledger: TheLedger, caller: Reader, matrix: Matrix = ""
) -> Response:
    """The page; with a matrix its spectrum too, which is all that htmx takes of it."""
    if not has_succeeded(ledger, caller, "analysis", job_id):
        return RedirectResponse(f"/jobs/{job_id}", 303)
    analysis = Analysis.model_validate_json(finished(ledger, caller, job_id))
    density = None
    if matrix:
        chosen = matrix_named(analysis, job_id, matrix)
        density = ShownFigure.of(
            "analysis", job_id, esd(analysis, chosen, spectrum_of(ledger, job_id, chosen)),
            matrix=matrix,
        )  # fmt: skip
    template = "part_esd.html" if by_htmx(request) else "analysis.html"
    estimator = analysis.settings.estimator
    return page(
        request, template, job_id=job_id, analysis=analysis, estimator=estimator,
        alphas=_alphas(job_id, analysis), density=density, matrix=matrix,
    )  # fmt: skip


def _alphas(job_id: str, analysis: Analysis) -> ShownFigure | None:
    """None where no matrix lies in a layer: the table says all there is."""
    try:
        return ShownFigure.of("analysis", job_id, alphas(analysis))
    except FigureError:
        return None
