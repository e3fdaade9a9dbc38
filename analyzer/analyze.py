"""Measure a model: read, solve, fit and keep, one tensor at a time."""

import time
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime

from analyzer.difference import BASE_FILE, difference
from analyzer.errors import InvalidOption
from analyzer.experts import experts_values, sample_experts
from analyzer.measuring import MatrixMeasurer
from analyzer.options import Options
from analyzer.outline import Matrix, Outline, left_out
from analyzer.progress import Report, measured, source_hashes
from analyzer.report import Analysis, Base, MatrixResult, Settings, block_values, fit_warnings
from analyzer.run import Run
from analyzer.scan import outline as scan_outline
from analyzer.selection import select
from analyzer.source import Source
from analyzer.spectrum import Precision
from analyzer.store import SpectrumStore


def analyze(
    source: Source,
    options: Options | None = None,
    *,
    store: SpectrumStore,
    progress: Report | None = None,
    outline: Outline | None = None,
    base: Source | None = None,
) -> Analysis:
    """Measure a model; its outline is made where the caller has none yet.

    With a `base` the spectra are those of the difference between the two checkpoints.

    Spectra that the store holds are not read again; each new one is kept before the next is
    solved, so an interrupted analysis continues where it stopped. Every estimator that the
    precision carries is fitted. Raises AnalyzerError.
    """
    options = options or Options()
    clock, started = time.monotonic(), datetime.now(UTC)
    outline = outline or scan_outline(source)
    chosen = matrices_of(outline, options)
    kind = outline.kind
    if base is not None:
        _check_ranged(options, source, base)
        kind, base_outline = "difference", scan_outline(base)
        chosen = difference(chosen, outline, base_outline)
        source = source.join(base, BASE_FILE)
    hashes = source_hashes(source, chosen, progress)
    measurer = MatrixMeasurer(options, store)
    run = Run(source, options, store, hashes, measurer)
    matrices = measured(run, chosen, measurer, progress)
    return Analysis(
        kind=kind,
        model=outline.model,
        revision=outline.revision,
        model_type=outline.model_type,
        weights=tuple(sorted(hashes[file] for file in outline.files)),
        settings=Settings(
            estimator=options.estimator,
            aspect=options.aspect,
            weighting=options.weighting,
            scope=options.scope,
            precision=_lowest_precision(matrices),
            solver=options.solver,
            experts_per_layer=options.experts_per_layer,
            windows=options.windows if options.aspect == "subsample" else None,
            rounded=options.rounded,
        ),
        stacks=outline.stacks,
        base=_base(base, hashes),
        layers=tuple(
            block_values(
                matrices,
                estimator=options.estimator,
                aspect=options.aspect,
                weighting=options.weighting,
                skip_unfit=kind != "model",
            )
        ),
        experts=tuple(experts_values(outline.matrices, matrices, options.estimator)),
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


def matrices_of(outline: Outline, options: Options) -> list[Matrix]:
    """The matrices that an analysis reads. Raises InvalidOption, or like select."""
    chosen = select(outline, scope=options.scope, stack=options.stack, modules=options.modules)
    if options.experts_per_layer is not None:
        chosen = sample_experts(chosen, options.experts_per_layer)
    _check_aspect(outline, options)
    return chosen


def _base(base: Source | None, hashes: Mapping[str, str]) -> Base | None:
    if base is None:
        return None
    weights = sorted(hashes[BASE_FILE + file] for file in base.files)
    return Base(model=base.model, revision=base.revision, weights=tuple(weights))


def _check_ranged(options: Options, source: Source, base: Source) -> None:
    trusted = all(each.file(file).trusted for each in (source, base) for file in each.files)
    if options.ranged is False and not trusted:
        raise InvalidOption(
            "a difference is read pair by pair, which cannot be checked over the network; fetch "
            "both checkpoints with `hf download`, or drop --verified"
        )


def _check_aspect(outline: Outline, options: Options) -> None:
    if outline.kind == "adapter" and (options.aspect != "none" or options.rounded):
        raise InvalidOption(
            "shape corrections and rounding are defined for weights of full rank, which the "
            "updates of an adapter are not; leave both out"
        )


def _lowest_precision(matrices: Sequence[MatrixResult]) -> Precision:
    """Stored float64 spectra may serve where float32 was enough."""
    return "float32" if any(m.precision == "float32" for m in matrices) else "float64"
