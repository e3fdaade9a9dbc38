"""`tailora plan`: how many experts each layer gets."""

from typing import Any

import typer

from service.cli.planwords import (
    Beta,
    BudgetKindOption,
    BudgetOption,
    Counts,
    Draws,
    LoraAlpha,
    MaxExperts,
    MethodOption,
    MinExperts,
    Model,
    PerModule,
    Rank,
    RoundingOption,
    Scores,
    Seed,
    Shape,
    Stability,
    TopK,
)
from service.cli.words import (
    AspectOption,
    Cache,
    Device,
    Estimator,
    Json,
    Memory,
    Modules,
    Order,
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


def plan(
    context: typer.Context,
    model: Model = None,
    scores: Scores = None,
    order: Order = None,
    budget: BudgetOption = None,
    budget_kind: BudgetKindOption = "experts",
    rounding: RoundingOption = "largest_remainder",
    min_experts: MinExperts = 1,
    max_experts: MaxExperts = None,
    method: MethodOption = "alphalora",
    beta: Beta = None,
    shape: Shape = None,
    counts: Counts = None,
    per_module: PerModule = False,
    rank: Rank = 8,
    lora_alpha: LoraAlpha = 16.0,
    top_k: TopK = 2,
    estimator: Estimator = "hill",
    aspect: AspectOption = "none",
    sample_rows: SampleRows = 2000,
    sample_ratio: SampleRatio = 1.0,
    sample_starts: SampleStarts = 15,
    weighting: WeightingOption = "equal",
    precision: PrecisionOption = "auto",
    solver: SolverOption = "gram",
    device: Device = "auto",
    memory: Memory = "2GB",
    ranged: Ranged = None,
    modules: Modules = None,
    stack: StackOption = None,
    stability: Stability = "estimators",
    draws: Draws = 200,
    seed: Seed = 0,
    cache: Cache = None,
    as_json: Json = False,
    out: Out = None,
    quiet: Quiet = False,
) -> None:
    """Say how many LoRA experts each layer gets."""
    from allocator.evidence import Questions
    from allocator.options import options_from
    from analyzer.options import Options
    from analyzer.sampling import Windows
    from service.cli.output import check_out, emit, warn
    from service.cli.planning import from_model, from_scores, from_service
    from service.cli.plantable import show_plan
    from service.cli.remote import refuse_local_options, wants_service
    from service.cli.sizes import parse_size

    check_out(out)
    measured: dict[str, Any] = {
        "estimator": estimator,
        "aspect": aspect,
        "weighting": weighting,
        "modules": modules,
        "stack": stack,
    }
    options = options_from(
        {
            **measured,
            **_parameters(beta, shape, counts),
            "budget": whole_budget(budget),
            "budget_kind": budget_kind,
            "method": method,
            "rounding": rounding,
            "min_experts": min_experts,
            "max_experts": max_experts,
            "top_k": top_k,
            "rank": rank,
            "lora_alpha": lora_alpha,
            "per_module": per_module,
        }
    )
    solving: dict[str, Any] = {
        "precision": precision,
        "solver": solver,
        "device": device,
        "memory": parse_size(memory, "--memory"),
        "ranged": ranged,
    }
    questions = Questions(stability, draws, seed)
    if scores is not None or order is not None:
        made = from_scores(model, scores, order, options, questions)
    else:
        windows = Windows(rows=sample_rows, ratio=sample_ratio, starts=sample_starts)
        measuring = Options(**measured, **solving, windows=windows, scope="adaptable")
        if wants_service():
            refuse_local_options(context, "device", "memory", "cache")
            made = from_service(model, options, measuring, questions, quiet)
        else:
            made = from_model(model, options, measuring, questions, cache, quiet)
    warn(made.warnings)
    emit(made, as_json=as_json, out=out, show=lambda console: show_plan(console, made))


def _parameters(beta: float | None, shape: str | None, counts: str | None) -> dict[str, Any]:
    from service.cli.failures import CommandError

    given: dict[str, Any] = {"beta": beta, "shape": shape}
    if counts is not None:
        try:
            given["counts"] = [int(count) for count in counts.split(",")]
        except ValueError as error:
            raise CommandError(
                f"--counts {counts} is not a list of whole numbers such as 1,3,5"
            ) from error
    return {name: value for name, value in given.items() if value is not None}


def whole_budget(budget: float | None) -> float | None:
    """A whole budget as int, so that documents say 160 and not 160.0."""
    return int(budget) if budget is not None and budget.is_integer() else budget
