"""`tailora compare`: plans side by side."""

from typing import Annotated

import typer

from service.cli.words import Json, Out

Plans = Annotated[
    list[str],
    typer.Argument(
        metavar="PLAN...",
        help="Files of `tailora plan --out`, the reference first; - is standard input.",
    ),
]


def compare(plans: Plans, as_json: Json = False, out: Out = None) -> None:
    """Show plans side by side: how far each is from the first, and why."""
    from allocator.compare import compare_plans
    from service.cli.comparison import show_comparison
    from service.cli.output import check_out, emit, warn
    from service.cli.planfile import plan_names, read_plan_file

    check_out(out)
    names = plan_names(plans)
    found = compare_plans([read_plan_file(file) for file in plans], names)
    warn(found.warnings)
    emit(found, as_json=as_json, out=out, show=lambda console: show_comparison(console, found))
