"""Measure a model: read, solve, fit and keep, one tensor at a time."""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from analyzer.options import Options
from analyzer.outline import Outline, left_out
from analyzer.report import Analysis, MatrixResult, Settings, block_values, fit_warnings
from analyzer.run import Run
from analyzer.scan import outline as scan_outline
from analyzer.selection import select
from analyzer.source import Source
from analyzer.spectrum import Precision
from analyzer.store import SpectrumStore


@dataclass(frozen=True, slots=True)
class Progress:
    """How far an analysis is."""

    done: int
    total: int
    bytes_done: int
    bytes_total: int
    matrix: str
    alpha: float | None


def analyze(
    source: Source,
    options: Options | None = None,
    *,
    store: SpectrumStore,
    progress: Callable[[Progress], None] | None = None,
    outline: Outline | None = None,
) -> Analysis:
    """Measure a model; its outline is made where the caller has none yet.

    Spectra that the store holds are not read again; each new one is kept before the next is
    solved, so an interrupted analysis continues where it stopped. Every estimator that the
    precision carries is fitted. Raises AnalyzerError.
    """
    options = options or Options()
    clock, started = time.monotonic(), datetime.now(UTC)
    outline = outline or scan_outline(source)
    chosen = select(outline, scope=options.scope, stack=options.stack, modules=options.modules)
    bytes_done, bytes_total = 0, sum(matrix.bytes for matrix in chosen)
    hashes = {}
    for file in source.files:
        if progress is not None:
            progress(Progress(0, len(chosen), 0, bytes_total, f"checksum of {file}", None))
        hashes[file] = source.sha256(file)
    run = Run(source, options, store, hashes)
    results = {}
    for matrix, result in run.results(chosen):
        results[matrix.name] = result
        bytes_done += matrix.bytes
        if progress is not None:
            alpha = result.fits[options.estimator].alpha
            progress(
                Progress(len(results), len(chosen), bytes_done, bytes_total, matrix.name, alpha)
            )
    matrices = tuple(results[matrix.name] for matrix in chosen)
    return Analysis(
        model=outline.model,
        revision=outline.revision,
        model_type=outline.model_type,
        weights=tuple(sorted(hashes.values())),
        settings=Settings(
            estimator=options.estimator,
            aspect=options.aspect,
            weighting=options.weighting,
            scope=options.scope,
            precision=_lowest_precision(matrices),
            solver=options.solver,
        ),
        stacks=outline.stacks,
        layers=tuple(
            block_values(
                matrices,
                estimator=options.estimator,
                aspect=options.aspect,
                weighting=options.weighting,
            )
        ),
        matrices=matrices,
        skipped=left_out(outline, chosen),
        warnings=(
            *source.warnings,
            *outline.warnings,
            *run.warnings(),
            *fit_warnings(matrices, options.estimator),
        ),
        provenance=run.provenance(started, time.monotonic() - clock),
    )


def _lowest_precision(matrices: Sequence[MatrixResult]) -> Precision:
    """Stored float64 spectra may serve where float32 was enough."""
    return "float32" if any(m.precision == "float32" for m in matrices) else "float64"
