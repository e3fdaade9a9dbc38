"""`tailora plan`: how many experts each layer gets."""

from pathlib import Path
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

if TYPE_CHECKING:
    from allocator.evidence import Questions
    from allocator.options import PlanOptions
    from allocator.plan import Plan
    from analyzer.options import Options

_METHOD, _BUDGET, _LORA, _STABILITY = "Method", "Budget", "Experts", "Stability"

Model = Annotated[
    str | None,
    typer.Argument(
        metavar="MODEL", help="A Hub id (org/name or org/name@revision), a folder, or a file."
    ),
]
Scores = Annotated[
    Path | None,
    typer.Option(
        metavar="FILE",
        help="Plan without a model, from a JSON list, one score per layer, or from a .npy array.",
    ),
]
BudgetOption = Annotated[
    float | None,
    typer.Option(
        "--budget", "-b", metavar="NUMBER", help="How many; see --budget-kind.",
        rich_help_panel=_BUDGET,
    ),
]  # fmt: skip
BudgetKindOption = Annotated[
    str,
    typer.Option(
        "--budget-kind",
        help="experts (per layer, summed), mean (per layer) or parameters (trainable).",
        rich_help_panel=_BUDGET,
    ),
]
RoundingOption = Annotated[
    str,
    typer.Option("--rounding", help="largest_remainder or webster.", rich_help_panel=_BUDGET),
]
MinExperts = Annotated[int, typer.Option(help="Least of a layer.", rich_help_panel=_BUDGET)]
MaxExperts = Annotated[int | None, typer.Option(help="Most of a layer.", rich_help_panel=_BUDGET)]
MethodOption = Annotated[
    str,
    typer.Option(
        "--method", help="alphalora, alphalora_as_released, mola, uniform or custom.",
        rich_help_panel=_METHOD,
    ),
]  # fmt: skip
Beta = Annotated[
    float | None,
    typer.Option(help="alphalora: share ∝ alpha^beta [2.5].", rich_help_panel=_METHOD),
]
Shape = Annotated[
    str | None,
    typer.Option(
        help="mola: triangle, inverted_triangle, hourglass, rectangle, diamond, or digits [2468].",
        rich_help_panel=_METHOD,
    ),
]
Counts = Annotated[
    str | None,
    typer.Option(
        metavar="LIST", help="custom: experts of each layer, e.g. 1,3,5.", rich_help_panel=_METHOD
    ),
]
PerModule = Annotated[
    bool,
    typer.Option("--per-module", help="Own count for every module.", rich_help_panel=_METHOD),
]
Rank = Annotated[int, typer.Option(help="LoRA rank of an expert.", rich_help_panel=_LORA)]
LoraAlpha = Annotated[float, typer.Option(help="LoRA scale times rank.", rich_help_panel=_LORA)]
Stability = Annotated[
    str,
    typer.Option(
        "--stability", metavar="KINDS",
        help="How sure the counts are: estimators, nominal, resampling, bf16, or all; the last "
        "two read the weights again.",
        rich_help_panel=_STABILITY,
    ),
]  # fmt: skip
Draws = Annotated[
    int,
    typer.Option("--draws", help="Random halves of every matrix.", rich_help_panel=_STABILITY),
]
Seed = Annotated[int, typer.Option("--seed", help="Of all draws.", rich_help_panel=_STABILITY)]
TopK = Annotated[
    int, typer.Option("--top-k", help="Experts active for a token.", rich_help_panel=_LORA)
]


def plan(
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
    from service.cli.plantable import show_plan
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
        made = _from_scores(model, scores, order, options, questions)
    else:
        windows = Windows(rows=sample_rows, ratio=sample_ratio, starts=sample_starts)
        measuring = Options(**measured, **solving, windows=windows, scope="adaptable")
        made = _from_model(model, options, measuring, questions, cache, quiet)
    warn(made.warnings)
    emit(made, as_json=as_json, out=out, show=lambda console: show_plan(console, made))


def _from_scores(
    model: str | None,
    scores: Path | None,
    order: str | None,
    options: "PlanOptions",
    questions: "Questions",
) -> "Plan":
    from allocator.planner import make_plan
    from service.cli.failures import CommandError
    from service.cli.scores import read_scores

    if model is not None or scores is None:
        raise CommandError("give a MODEL or --scores FILE, one of the two; --order is for scores")
    if questions.kinds != ("estimators",):
        raise CommandError("scores have no spectra to question; --stability needs a MODEL")
    return make_plan(read_scores(scores, order, options), options)


def _from_model(
    model: str | None,
    options: "PlanOptions",
    measuring: "Options",
    questions: "Questions",
    cache: Path | None,
    quiet: bool,
) -> "Plan":
    from allocator.evidence import gather
    from allocator.planner import check_feasible, make_plan
    from analyzer.analyze import analyze
    from analyzer.api import with_hashes
    from analyzer.scan import outline
    from analyzer.source import open_source
    from analyzer.store import FolderStore, default_folder
    from service.cli.failures import CommandError
    from service.cli.progress import progress

    if model is None:
        raise CommandError("give a MODEL or --scores FILE, one of the two")
    store = FolderStore(cache or default_folder())
    source = open_source(model, store)
    found = outline(source)
    if not check_feasible(found, options):
        if questions.kinds != ("estimators",):
            raise CommandError(
                f"method {options.method} uses no alphas, so there is nothing to question; "
                "leave --stability out"
            )
        return make_plan(with_hashes(found, source), options)
    with progress(quiet) as report:
        analysis = analyze(source, measuring, store=store, progress=report, outline=found)
        evidence = gather(source, measuring, questions, store=store, outline=found, progress=report)
    return make_plan(analysis, options, evidence)


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
