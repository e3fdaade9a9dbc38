"""`tailora inspect`: what a model holds and what measuring it takes, from headers alone."""

from service.cli.words import Cache, Json, Memory, Model, Out


def inspect(
    model: Model,
    memory: Memory = "2GB",
    cache: Cache = None,
    as_json: Json = False,
    out: Out = None,
) -> None:
    """List stacks, layers, modules, what is left out and what a plan costs, from headers alone."""
    from analyzer.api import with_estimate
    from analyzer.scan import outline
    from analyzer.source import open_source
    from analyzer.store import FolderStore, default_folder
    from service.cli.output import check_out, emit, warn
    from service.cli.sizes import parse_size
    from service.cli.tables import show_outline

    check_out(out)
    size = parse_size(memory, "--memory")
    source = open_source(model, FolderStore(cache or default_folder()))
    found = with_estimate(outline(source), source, memory=size)
    warn((*source.warnings, *found.warnings))
    emit(found, as_json=as_json, out=out, show=lambda console: show_outline(console, found))
