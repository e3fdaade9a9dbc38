"""`tailora inspect`: what a model holds and what measuring it takes, from headers alone."""

from pathlib import Path
from typing import TYPE_CHECKING

import typer

from service.cli.words import Cache, Json, Memory, Model, Out

if TYPE_CHECKING:
    from analyzer.outline import Outline


def inspect(
    context: typer.Context,
    model: Model,
    memory: Memory = "2GB",
    cache: Cache = None,
    as_json: Json = False,
    out: Out = None,
) -> None:
    """List stacks, layers, modules, what is left out and what a plan costs, from headers alone."""
    from service.cli.output import check_out, emit, warn
    from service.cli.remote import refuse_local_options, wants_service
    from service.cli.sizes import parse_size
    from service.cli.tables import show_outline

    check_out(out)
    size = parse_size(memory, "--memory")
    if wants_service():
        refuse_local_options(context, "memory", "cache")
        found, warnings = _from_service(model)
    else:
        found, warnings = _from_model(model, size, cache)
    warn((*warnings, *found.warnings))
    emit(found, as_json=as_json, out=out, show=lambda console: show_outline(console, found))


def _from_model(model: str, memory: int, cache: Path | None) -> "tuple[Outline, tuple[str, ...]]":
    """The outline, and what its source warns of."""
    from analyzer.api import with_estimate
    from analyzer.scan import outline
    from analyzer.source import open_source
    from analyzer.store import FolderStore, default_folder

    source = open_source(model, FolderStore(cache or default_folder()))
    found = with_estimate(outline(source), source, memory=memory)
    return found, source.warnings


def _from_service(model: str) -> "tuple[Outline, tuple[str, ...]]":
    from service.cli.remote import check_place, service
    from service.client.documents import outline_of

    check_place(model)
    with service() as server:
        return outline_of(server, model), ()
