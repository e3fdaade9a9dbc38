"""`tailora export`: a plan in the form of another tool."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from service.cli.words import Json, Nearest

if TYPE_CHECKING:
    from allocator.forms.export import Export

PlanFile = Annotated[
    str, typer.Argument(metavar="PLAN", help="A plan as JSON (`tailora plan --out`), or - .")
]
Target = Annotated[
    str,
    typer.Option(
        "--to",
        metavar="TARGET",
        help="mola, mola_eval, guilomo, moe_peft, adamole, mole, peft, csv or markdown.",
    ),
]
OutPath = Annotated[
    Path | None,
    typer.Option("--out", metavar="PATH", help="Write to a file, or several files to a folder."),
]


def export(
    plan: PlanFile,
    to: Target,
    nearest: Nearest = False,
    as_json: Json = False,
    out: OutPath = None,
) -> None:
    """Write a plan as flags or files of another tool."""
    from allocator.exports import export_plan
    from service.cli.output import warn
    from service.cli.planfile import read_plan_file

    made = export_plan(read_plan_file(plan), to, nearest=nearest)
    warn(made.warnings)
    if out is not None:
        _write(made, out)
    if as_json:
        typer.echo(made.model_dump_json(indent=2))
    elif out is None:
        _print(made)


def _print(made: "Export") -> None:
    for name, text in made.files.items():
        if len(made.files) > 1:
            typer.echo(f"# {name}")
        typer.echo(text, nl=False)


def _write(made: "Export", out: Path) -> None:
    """One file to `out` (or into it, where it is a folder), several into the folder `out`."""
    from service.cli.failures import CommandError
    from service.cli.output import check_out, write_whole

    if len(made.files) == 1 and not out.is_dir():
        check_out(out)
        write_whole(out, next(iter(made.files.values())))
        return
    try:
        out.mkdir(exist_ok=True)
    except OSError as error:
        raise CommandError(
            f"cannot write to {out}: {error.strerror}; choose another --out"
        ) from error
    for name in made.files:
        check_out(out / name)
    for name, text in made.files.items():
        write_whole(out / name, text)
