"""The matrices of an analysis, as rows or CSV, and the spectrum of one."""

import csv
import io
from collections.abc import Sequence
from typing import Annotated

from fastapi import APIRouter, Query, Request, Response

from analyzer.density import log_density, tail_line
from analyzer.report import Analysis, MatrixResult
from analyzer.selection import keep_modules
from analyzer.spectrum import Spectrum
from ledger.access import Ledger
from ledger.jobs import by_id, get
from ledger.outlines import get_outline
from ledger.results import get_analysis
from service.analyses.schemas import Esd, Matrices, MatrixRow, TailLine
from service.context import Caller, Reader, TheLedger
from service.jobs.endpoints import JobId
from service.jobs.views import document_text, view
from service.problems import Problem
from worker.passes import passes_of
from worker.sources import known_source
from worker.steps import analysis_words

COLUMNS = ("name", "stack", "layer", "module", "rows", "columns", "dtype", "alpha",
           "nominal_standard_error", "xmin", "tail", "ks_distance", "status", "spectral_norm",
           "stable_rank")  # fmt: skip


def add_layers(router: APIRouter) -> None:
    """Add the endpoints to the router of analyses."""

    @router.get(
        "/{job_id}/layers",
        response_model=Matrices,
        operation_id="list_matrices",
        responses={200: {"content": {"text/csv": {}}}},
    )
    def layers(
        job_id: JobId,
        request: Request,
        ledger: TheLedger,
        caller: Reader,
        module: Annotated[str | None, Query(max_length=2000)] = None,
    ) -> Matrices | Response:
        """Alpha, tail and measures of every matrix; CSV where `Accept: text/csv` asks for it."""
        analysis = finished_analysis(ledger, caller, job_id)
        found: Sequence[MatrixResult] = analysis.matrices
        if module is not None:
            found = keep_modules(found, [name.strip() for name in module.split(",")])
        estimator = analysis.settings.estimator
        if "text/csv" in request.headers.get("accept", ""):
            return Response(_csv(found, estimator), media_type="text/csv")
        return Matrices(estimator=estimator, data=[_row(each, estimator) for each in found])

    @router.get(
        "/{job_id}/layers/{name}/esd", response_model=Esd, operation_id="get_matrix_density"
    )
    def esd(
        job_id: JobId,
        name: str,
        ledger: TheLedger,
        caller: Reader,
        bins: Annotated[int, Query(ge=2, le=1000)] = 100,
        full: bool = False,
    ) -> Esd:
        """The spectral density of one matrix, and the tail that was fitted."""
        analysis = finished_analysis(ledger, caller, job_id)
        matrix = matrix_named(analysis, job_id, name)
        spectrum = spectrum_of(ledger, job_id, matrix)
        fit = matrix.fits[analysis.settings.estimator]
        density, line = log_density(spectrum, bins), tail_line(spectrum, fit)
        return Esd(
            name=name,
            status=spectrum.status,
            eigenvalues=spectrum.values.size,
            zeros=density.zeros,
            edges=density.edges.tolist(),
            density=density.density.tolist(),
            fit=fit,
            line=None if line is None else TailLine(x=line[0], y=line[1]),
            values=spectrum.pooled().values.tolist() if full and spectrum.status == "ok" else None,
        )


def finished(ledger: Ledger, caller: Caller, job_id: str) -> str:
    """The document of an owner's finished analysis. Raises NotFound or Problem."""
    with ledger.database.read() as connection:
        found = view(connection, caller.reads, "analysis", job_id)
        text = document_text(ledger, connection, found)
    if text is None:
        raise Problem(
            "conflict", f"{job_id} is {found.job['state']}; ask again once it has succeeded"
        )
    return text


def finished_analysis(ledger: Ledger, caller: Caller, job_id: str) -> Analysis:
    """The same, parsed. Raises NotFound or Problem."""
    with ledger.database.read() as connection:
        job = get(connection, caller.reads, "analysis", job_id)
        found = get_analysis(connection, ledger.artifacts, job_id)
    if job["state"] != "succeeded" or found is None:
        raise Problem("conflict", f"{job_id} is {job['state']}; ask again once it has succeeded")
    return found


def matrix_named(analysis: Analysis, job_id: str, name: str) -> MatrixResult:
    """A matrix of an analysis. Raises Problem."""
    matrix = next((each for each in analysis.matrices if each.name == name), None)
    if matrix is None:
        raise Problem(
            "not_found", f"{job_id} has no matrix {name[:100]}; see its layers for the names"
        )
    return matrix


def spectrum_of(ledger: Ledger, job_id: str, matrix: MatrixResult) -> Spectrum:
    """The eigenvalues of a matrix of an analysis. Raises Problem where they are not kept."""
    with ledger.database.read() as connection:
        job = by_id(connection, job_id)
        assert job is not None
        known = get_outline(connection, ledger.artifacts, job["outline_key"])
    if known is not None:
        first, *_ = passes_of(analysis_words(job), known.outline)
        hashes = {file: found.sha256 for file, found in known.files.items()}
        lookup = first.lookup(known_source(known, job["model"]), ledger.store(), hashes)
        found = lookup.kept(matrix) or lookup.unchecked(matrix)
        if found is not None:
            return found[1].spectrum
    raise Problem("spectra_missing", f"the spectrum of {matrix.name[:100]} is not kept any more")


def _row(matrix: MatrixResult, estimator: str) -> MatrixRow:
    return MatrixRow(
        name=matrix.name,
        stack=matrix.stack,
        layer=matrix.layer,
        module=matrix.module,
        shape=matrix.shape,
        dtype=matrix.dtype,
        fit=matrix.fits[estimator],
        measures=matrix.measures,
    )


def _csv(found: Sequence[MatrixResult], estimator: str) -> str:
    text = io.StringIO()
    table = csv.writer(text)
    table.writerow(COLUMNS)
    for each in found:
        fit, measures = each.fits[estimator], each.measures
        table.writerow(
            [each.name, each.stack, each.layer, each.module, *each.shape, each.dtype, fit.alpha,
             fit.nominal_standard_error, fit.xmin, fit.tail, fit.ks_distance, fit.status,
             measures and measures.spectral_norm, measures and measures.stable_rank]
        )  # fmt: skip
    return text.getvalue()
