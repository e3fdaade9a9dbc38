"""`tailora analyze`: measure every matrix of a model."""

from typing import Annotated

import typer

from service.cli.words import (
    AspectOption,
    Cache,
    Device,
    Estimator,
    Json,
    Memory,
    Model,
    Modules,
    Out,
    PrecisionOption,
    Quiet,
    Ranged,
    SolverOption,
    StackOption,
    WeightingOption,
)

All = Annotated[bool, typer.Option("--all", help="Embeddings, heads and poolers too.")]


def analyze(
    model: Model,
    everything: All = False,
    estimator: Estimator = "hill",
    aspect: AspectOption = "none",
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
    from analyzer.api import analyze as analyze_model
    from service.cli.output import check_out, emit, warn
    from service.cli.progress import progress
    from service.cli.sizes import parse_size
    from service.cli.tables import show_analysis

    check_out(out)
    with progress(quiet) as report:
        found = analyze_model(
            model,
            cache=cache,
            progress=report,
            scope="all" if everything else "blocks",
            estimator=estimator,
            aspect=aspect,
            weighting=weighting,
            precision=precision,
            solver=solver,
            device=device,
            memory=parse_size(memory, "--memory"),
            ranged=ranged,
            modules=modules,
            stack=stack,
        )
    warn(found.warnings)
    emit(found, as_json=as_json, out=out, show=lambda console: show_analysis(console, found))
