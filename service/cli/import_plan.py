"""`tailora import`: a plan from the files of another tool."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from service.cli.words import Cache, Json, Modules, Nearest, Order, Out, StackOption

if TYPE_CHECKING:
    from analyzer.outline import Outline

_OPEN, _SCORES = "What the file does not say", "Plans from scores"

Files = Annotated[
    list[Path],
    typer.Argument(metavar="FILE...", help="The file, all its files, or their folder; - is stdin."),
]
From = Annotated[
    str | None,
    typer.Option(
        "--from", metavar="FORM",
        help="mola, mola_eval, guilomo, moe_peft, adamole, mole, peft, csv, markdown, list or "
        "scores; left out: what the file obviously is.", show_default=False,
    ),
]  # fmt: skip
OfModel = Annotated[
    str | None,
    typer.Option(
        metavar="MODEL", help="For full names and shapes: a Hub id, a folder or a file.",
    ),
]  # fmt: skip
TopK = Annotated[
    int | None,
    typer.Option("--top-k", help="Experts active for a token [2].", rich_help_panel=_OPEN),
]
Rank = Annotated[
    int | None, typer.Option(help="LoRA rank of an expert [8].", rich_help_panel=_OPEN)
]
LoraAlpha = Annotated[
    float | None, typer.Option(help="LoRA scale times rank [16].", rich_help_panel=_OPEN)
]
Layers = Annotated[
    int | None, typer.Option(help="How many, where no --model says it.", rich_help_panel=_OPEN)
]
Budget = Annotated[
    float | None,
    typer.Option("--budget", "-b", help="Experts over all layers.", rich_help_panel=_SCORES),
]
Beta = Annotated[
    float | None, typer.Option(help="share ∝ score^beta [2.5].", rich_help_panel=_SCORES)
]
PerModule = Annotated[
    bool,
    typer.Option("--per-module", help="Own count for every module.", rich_help_panel=_SCORES),
]


def import_plan(
    files: Files,
    form: From = None,
    model: OfModel = None,
    top_k: TopK = None,
    rank: Rank = None,
    lora_alpha: LoraAlpha = None,
    layers: Layers = None,
    order: Order = None,
    budget: Budget = None,
    beta: Beta = None,
    per_module: PerModule = False,
    modules: Modules = None,
    stack: StackOption = None,
    nearest: Nearest = False,
    cache: Cache = None,
    as_json: Json = False,
    out: Out = None,
) -> None:
    """Read a plan from flags or files of another tool."""
    from allocator.imports import import_plan as import_files
    from service.cli.files import read_inputs
    from service.cli.output import check_out, emit, warn
    from service.cli.plan import whole_budget
    from service.cli.plantable import show_plan

    check_out(out)
    made = import_files(
        read_inputs(files),
        form,
        model=_outline(model, cache),
        top_k=top_k,
        rank=rank,
        lora_alpha=lora_alpha,
        layers=layers,
        order=order,
        budget=whole_budget(budget),
        beta=beta,
        per_module=per_module,
        modules=modules,
        stack=stack,
        nearest=nearest,
    )
    warn(made.warnings)
    emit(made, as_json=as_json, out=out, show=lambda console: show_plan(console, made))


def _outline(model: str | None, cache: Path | None) -> "Outline | None":
    if model is None:
        return None
    from analyzer.api import with_hashes
    from analyzer.scan import outline
    from analyzer.source import open_source
    from analyzer.store import FolderStore, default_folder

    source = open_source(model, FolderStore(cache or default_folder()))
    return with_hashes(outline(source), source)
