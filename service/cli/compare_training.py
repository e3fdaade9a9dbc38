"""`tailora compare-training`: the same data under several plans, over several seeds."""

import re
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from service.cli.train import Changes, Data, HeldOut, ModelName, Preset
from service.cli.words import Json

if TYPE_CHECKING:
    from trainer.compare.document import Comparison
    from trainer.compare.results import Compared

Plans = Annotated[
    list[str],
    typer.Argument(
        metavar="PLAN...", help="Files of `tailora plan --out`; other arms are made from the first."
    ),
]
Against = Annotated[
    str,
    typer.Option(
        metavar="ARMS",
        help="With commas: uniform, permuted, mola:SHAPE, lora (as many parameters), adamole, "
        "lora_dropout.",
    ),
]
Seeds = Annotated[str, typer.Option(metavar="NUMBER", help="How many, or which: 5 is 0,1,2,3,4.")]
Reference = Annotated[
    str | None,
    typer.Option(metavar="ARM", help="Compare with this arm: lora, else the first."),
]
OwnChanges = Annotated[
    list[str] | None,
    typer.Option("--set-arm", metavar="ARM:FIELD=VALUE", help="Of the recipe of one arm; repeat."),
]
OutFolder = Annotated[
    Path | None,
    typer.Option("--out", metavar="DIR", help="The comparison's folder; runs/compare-DIGEST."),
]
Adapters = Annotated[
    bool, typer.Option("--adapters/--no-adapters", help="Keep the adapter of every run.")
]
OnlyArms = Annotated[
    bool, typer.Option("--arms-only", help="Print what would be compared and train nothing.")
]


def compare_training(
    plans: Plans,
    data: Data,
    against: Against = "lora",
    seeds: Seeds = "3",
    held_out: HeldOut = None,
    model: ModelName = None,
    out: OutFolder = None,
    preset: Preset = None,
    reference: Reference = None,
    changes: Changes = None,
    own_changes: OwnChanges = None,
    adapters: Adapters = True,
    arms_only: OnlyArms = False,
    as_json: Json = False,
) -> None:
    """Fine-tune under several plans and seeds, and say what differs beyond seed noise."""
    from service.cli.recipewords import base_of, changes_of, task_of_data
    from trainer.compare.arms import comparison_of

    read = _read(plans)
    comparison = comparison_of(
        read,
        task=task_of_data(data),
        base=base_of(next(iter(read.values())), model),
        data={"train": data, "held_out": held_out},
        against=[word for word in re.split(r",(?=[^\d])", against) if word],
        seeds=_seeds(seeds),
        preset=preset,
        changes=changes_of(changes or []),
        own_changes=_own_changes(own_changes or []),
        reference=reference,
        keep_adapters=adapters,
    )
    if arms_only:
        typer.echo(comparison.to_json())
        return
    _compare(comparison, out or Path("runs") / f"compare-{comparison.digest[:12]}", as_json)


def _compare(comparison: "Comparison", folder: Path, as_json: bool) -> None:
    from service.cli.failures import FAILED, INTERRUPTED
    from trainer.exports.base import silence

    silence()
    from trainer.compare.run import compare

    found = compare(comparison, folder, lambda line: typer.echo(line, err=True))
    if as_json:
        typer.echo(found.model_dump_json(indent=2))
    else:
        _show(found)
    if found.status == "stopped":
        raise typer.Exit(INTERRUPTED)
    if found.failed:
        raise typer.Exit(FAILED)


def _show(found: "Compared") -> None:
    from service.cli.layout import print_line, print_table
    from service.cli.output import stdout
    from trainer.compare.table import columns_of, rows_of, title_of

    console = stdout()
    print_table(console, title_of(found), columns_of(found), rows_of(found))
    for line in (*found.notes, found.verdict):
        print_line(console, line)


def _read(files: list[str]) -> dict[str, Any]:
    """Plans by the name of their arm: the file's, without its ending."""
    from service.cli.failures import CommandError
    from service.cli.planfile import plan_names, read_plan_file

    names = [Path(name).stem for name in plan_names(files)]
    if len(set(names)) < len(names):
        raise CommandError(f"two plans are called {max(names, key=names.count)}; rename a file")
    return {name: read_plan_file(file) for name, file in zip(names, files, strict=True)}


def _seeds(text: str) -> tuple[int, ...]:
    from service.cli.failures import CommandError

    try:
        numbers = tuple(int(part) for part in text.split(",") if part.strip())
    except ValueError:
        numbers = ()
    if not numbers or ("," not in text and numbers[0] < 1):
        raise CommandError(f"--seeds is {text!r}; write how many, as in 5, or which, as in 3,7,9")
    return numbers if "," in text else tuple(range(numbers[0]))


def _own_changes(texts: list[str]) -> dict[str, dict[str, Any]]:
    from service.cli.failures import CommandError
    from service.cli.recipewords import change_of

    found: dict[str, dict[str, Any]] = {}
    for text in texts:
        place, equals, value = text.partition("=")
        arm, colon, field = place.rpartition(":")
        if not (equals and colon):
            raise CommandError(f"--set-arm {text} lacks an arm or a value; write lora:FIELD=VALUE")
        name, parsed = change_of(f"{field}={value}")
        found.setdefault(arm, {})[name] = parsed
    return found
