"""`tailora train`: fine-tune what a plan describes."""

import os
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from service.cli.export import PlanFile
from service.cli.words import Json

if TYPE_CHECKING:
    from trainer.recipe import Recipe

Data = Annotated[
    str,
    typer.Option(metavar="FILE", help="Samples: .jsonl, .csv, .parquet or a saved dataset."),
]
HeldOut = Annotated[
    str | None,
    typer.Option(
        "--held-out", metavar="FILE", help="Samples to evaluate on; else a tenth of DATA."
    ),
]
ModelName = Annotated[
    str | None,
    typer.Option("--model", metavar="MODEL", help="The base, where it is not where the plan says."),
]
OutDir = Annotated[
    Path | None, typer.Option("--out", metavar="DIR", help="The run's folder; runs/DIGEST.")
]
Preset = Annotated[
    str | None,
    typer.Option(metavar="NAME", help="mola, alphalora, adamole, lora_dropout, lora or prompt."),
]
Changes = Annotated[
    list[str] | None,
    typer.Option(
        "--set", metavar="FIELD=VALUE", help="Of the recipe, such as schedule.steps=100; repeat."
    ),
]
OnlyRecipe = Annotated[
    bool, typer.Option("--recipe-only", help="Print the recipe and train nothing.")
]
Fsdp = Annotated[
    bool,
    typer.Option("--fsdp", help="Share the base's weights among torchrun's processes."),
]


def train(
    plan: PlanFile,
    data: Data,
    held_out: HeldOut = None,
    model: ModelName = None,
    out: OutDir = None,
    preset: Preset = None,
    changes: Changes = None,
    recipe_only: OnlyRecipe = False,
    fsdp: Fsdp = False,
    as_json: Json = False,
) -> None:
    """Fine-tune the mixture that a plan describes; a run that was stopped goes on."""
    from service.cli.failures import INTERRUPTED
    from trainer.exports.base import silence

    silence()
    from trainer.finetune.run import finetune

    recipe = _recipe(plan, data, held_out, model, preset, changes or [])
    if recipe_only:
        typer.echo(recipe.to_json())
        return
    folder = out or Path("runs") / recipe.digest[:12]
    summary = [_summary(recipe, folder)]

    def say(line: str) -> None:
        """The recipe goes before the first line: a run that is refused says why, and no more."""
        for each in (*summary, line):
            typer.echo(each, err=True)
        summary.clear()

    trained = finetune(recipe, folder, say, fsdp=fsdp)
    words = f"the adapter is in {folder / 'adapter'}"
    if trained.status == "stopped":
        words = f"stopped after step {trained.steps}; the same command goes on from there"
    if os.environ.get("RANK", "0") == "0":  # of torchrun's processes the first one speaks
        typer.echo(trained.model_dump_json(indent=2) if as_json else words)
    if trained.status == "stopped" and not as_json:
        raise typer.Exit(INTERRUPTED)


def _recipe(
    plan_file: str,
    data: str,
    held_out: str | None,
    model: str | None,
    preset: str | None,
    changes: list[str],
) -> "Recipe":
    from service.cli.planfile import read_plan_file
    from service.cli.recipewords import base_of, changes_of, task_of_data
    from trainer.presets import make_recipe

    plan = read_plan_file(plan_file)
    return make_recipe(
        plan,
        task=task_of_data(data),
        base=base_of(plan, model),
        data={"train": data, "held_out": held_out},
        preset=preset,
        changes=changes_of(changes),
    )


def _summary(recipe: "Recipe", folder: Path) -> str:
    schedule, mixture = recipe.schedule, recipe.mixture
    long = f"{schedule.steps} steps" if schedule.steps else f"{schedule.epochs:g} epochs"
    masks = f"mask {mixture.mask} {mixture.mask_rate:g}"
    words = {
        "mixture": f"gate {mixture.gate}, balance {mixture.balance}, {masks}",
        "lora": masks,
        "prompt": f"{recipe.prompt.tokens} virtual tokens of rank {recipe.prompt.rank}",
    }[mixture.kind]
    units = "sequences" if recipe.data.packing else "samples"
    return (
        f"{recipe.task}, preset {recipe.preset}: {mixture.kind}, {words}; {long} of "
        f"{schedule.batch} {units}, learning rate {recipe.optimiser.learning_rate:g}\n"
        f"the whole recipe: {folder / 'recipe.json'}"
    )
