"""The words of `tailora plan` alone; those that it shares are in `words`."""

from pathlib import Path
from typing import Annotated

import typer

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
