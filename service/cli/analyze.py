"""`tailora analyze`: measure every matrix of a model, of several, or of an adapter."""

from typing import TYPE_CHECKING, Annotated, Any

import typer

from service.cli.words import (
    AspectOption,
    Cache,
    Device,
    Estimator,
    Json,
    Memory,
    Modules,
    Out,
    PrecisionOption,
    Quiet,
    Ranged,
    SampleRatio,
    SampleRows,
    SampleStarts,
    SolverOption,
    StackOption,
    WeightingOption,
)

if TYPE_CHECKING:
    from analyzer.report import Analysis

Models = Annotated[
    list[str],
    typer.Argument(
        metavar="MODEL...",
        help="A Hub id (org/name or org/name@revision), a folder, a file, or a LoRA adapter; "
        "several give a series of checkpoints.",
    ),
]
All = Annotated[bool, typer.Option("--all", help="Embeddings, heads and poolers too.")]
Base = Annotated[
    str | None,
    typer.Option(
        metavar="MODEL", help="Measure the difference from this checkpoint of the same shape."
    ),
]
CompareDistributions = Annotated[
    bool,
    typer.Option(
        "--compare-distributions",
        help="Is each tail a power law at all? Likelihood ratios against other distributions.",
    ),
]
ExpertsPerLayer = Annotated[
    int | None,
    typer.Option(
        "--experts-per-layer", metavar="NUMBER",
        help="Of a MoE base read only so many experts of each layer, drawn at random (seeded).",
    ),
]  # fmt: skip

_LOCAL = ("base", "device", "memory", "cache", "compare_distributions")
"""Options that are for this machine."""


def analyze(
    context: typer.Context,
    models: Models,
    everything: All = False,
    base: Base = None,
    experts_per_layer: ExpertsPerLayer = None,
    estimator: Estimator = "hill",
    aspect: AspectOption = "none",
    sample_rows: SampleRows = 2000,
    sample_ratio: SampleRatio = 1.0,
    sample_starts: SampleStarts = 15,
    compare_distributions: CompareDistributions = False,
    weighting: WeightingOption = "equal",
    precision: PrecisionOption = "auto",
    solver: SolverOption = "gram",
    device: Device = "auto",
    memory: Memory = "2GB",
    ranged: Ranged = None,
    modules: Modules = None,
    stack: StackOption = None,
    cache: Cache = None,
    as_json: Json = False,
    out: Out = None,
    quiet: Quiet = False,
) -> None:
    """Measure how heavy-tailed each matrix and layer is."""
    from analyzer.sampling import Windows
    from analyzer.series import series_of
    from service.cli.output import check_out, emit, warn
    from service.cli.remote import refuse_local_options, wants_service
    from service.cli.sizes import parse_size
    from service.cli.tables import show_analysis, show_series

    check_out(out)
    options: dict[str, Any] = {
        "base": base,
        "cache": cache,
        "scope": "all" if everything else "blocks",
        "experts_per_layer": experts_per_layer,
        "estimator": estimator,
        "aspect": aspect,
        "windows": Windows(rows=sample_rows, ratio=sample_ratio, starts=sample_starts),
        "compare_distributions": compare_distributions,
        "weighting": weighting,
        "precision": precision,
        "solver": solver,
        "device": device,
        "memory": parse_size(memory, "--memory"),
        "ranged": ranged,
        "modules": modules,
        "stack": stack,
    }
    if wants_service():
        refuse_local_options(context, *_LOCAL)
        found = _from_service(models, options, quiet)
    else:
        found = [_measure(model, options, quiet) for model in models]
    if len(found) == 1:
        warn(found[0].warnings)
        emit(found[0], as_json=as_json, out=out, show=lambda to: show_analysis(to, found[0]))
        return
    series = series_of(found)
    warn(series.warnings)
    emit(series, as_json=as_json, out=out, show=lambda to: show_series(to, series))


def _measure(model: str, options: dict[str, Any], quiet: bool) -> "Analysis":
    from analyzer.api import analyze as analyze_model
    from service.cli.progress import progress

    with progress(quiet) as report:
        return analyze_model(model, progress=report, **options)


def _from_service(models: list[str], options: dict[str, Any], quiet: bool) -> list["Analysis"]:
    from analyzer.options import Options
    from service.cli.remote import check_place, made
    from service.cli.remotewords import analysis_body
    from service.client.documents import analysis_of

    measuring = Options(**{k: v for k, v in options.items() if k not in ("base", "cache")})
    for model in models:
        check_place(model)
    bodies = [analysis_body(model, measuring) for model in models]
    return [
        made(lambda server, watch, body=body: analysis_of(server, body, watch), quiet)  # type: ignore[misc]
        for body in bodies
    ]
