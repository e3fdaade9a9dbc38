"""GET /v1/analyses/{id}/figures/{name}."""

from dataclasses import dataclass
from typing import Annotated

from fastapi import APIRouter, Depends, Query, Request, Response
from fastapi.concurrency import run_in_threadpool

from analyzer.series import series_of
from ledger.access import Ledger
from service.analyses.layers import finished_analysis, matrix_named, spectrum_of
from service.context import Caller, Reader, TheLedger
from service.figures.alphas import alphas
from service.figures.answering import FIGURE_RESPONSES, HowRendered, answer
from service.figures.catalogue import check_name
from service.figures.checkpoints import checkpoints
from service.figures.errors import NothingToDraw
from service.figures.esd import BINS, MOST_BINS, esd, layer_esds, of_layer
from service.figures.figure import Figure
from service.jobs.endpoints import JobId

MOST_ANALYSES = 20


@dataclass(frozen=True, slots=True)
class Words:
    """What the figures of an analysis are told."""

    matrix: Annotated[str | None, Query(max_length=2000, description="esd: which")] = None
    stack: Annotated[str | None, Query(max_length=200, description="esds: whose layer")] = None
    layer: Annotated[int, Query(ge=0, le=100_000, description="esds: which")] = 0
    bins: Annotated[int, Query(ge=2, le=MOST_BINS, description="esd, esds")] = BINS
    mp: Annotated[bool, Query(description="esd: the Marchenko-Pastur law beside it")] = False


Others = Annotated[
    list[Annotated[str, Query(max_length=64)]],
    Query(alias="with", max_length=MOST_ANALYSES, description="checkpoints: ids of later ones"),
]


def add_analysis_figures(router: APIRouter) -> None:
    """Add the endpoint to the router of analyses."""

    @router.get(
        "/{job_id}/figures/{name}", operation_id="get_analysis_figure", responses=FIGURE_RESPONSES
    )
    async def figure(
        job_id: JobId,
        name: str,
        request: Request,
        ledger: TheLedger,
        caller: Reader,
        how: HowRendered,
        words: Annotated[Words, Depends()],
        others: Others = [],  # noqa: B006
    ) -> Response:
        """A figure of an analysis: esd (of a matrix), esds (of a layer), alphas or checkpoints."""
        made = await run_in_threadpool(analysis_figure, ledger, caller, job_id, name, words, others)
        return await answer(request, made, how)


def analysis_figure(
    ledger: Ledger, caller: Caller, job_id: str, name: str, words: Words, others: list[str]
) -> Figure:
    """A figure of that name; page and API make theirs here. Raises what says why there is none."""
    check_name("analysis", name)
    analysis = finished_analysis(ledger, caller, job_id)
    if name == "alphas":
        return alphas(analysis)
    if name == "checkpoints":
        found = [finished_analysis(ledger, caller, other) for other in others]
        return checkpoints(series_of([analysis, *found]))
    if name == "esds":
        matrices = of_layer(analysis, words.layer, words.stack)
        pairs = [(matrix, spectrum_of(ledger, job_id, matrix)) for matrix in matrices]
        return layer_esds(analysis, pairs, bins=words.bins)
    if words.matrix is None:
        raise NothingToDraw(f"name a matrix as `matrix=`; /v1/analyses/{job_id}/layers lists them")
    matrix = matrix_named(analysis, job_id, words.matrix)
    spectrum = spectrum_of(ledger, job_id, matrix)
    return esd(analysis, matrix, spectrum, bins=words.bins, marchenko_pastur=words.mp)
