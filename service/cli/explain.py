"""`tailora explain`: a plan in words."""

from typing import Annotated

import typer

from service.cli.words import Json, Out

PlanFile = Annotated[
    str,
    typer.Argument(metavar="PLAN", help="A file of `tailora plan --out`; - is standard input."),
]


def explain(plan: PlanFile, as_json: Json = False, out: Out = None) -> None:
    """Say in words what a plan is, why, how sure it is, and what to try."""
    from allocator.explain import explain_plan
    from service.cli.output import check_out, emit
    from service.cli.paragraphs import show_explanation
    from service.cli.planfile import read_plan_file

    check_out(out)
    found = explain_plan(read_plan_file(plan))
    emit(found, as_json=as_json, out=out, show=lambda console: show_explanation(console, found))
