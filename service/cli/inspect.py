"""`tailora inspect`: what a model holds, from headers alone."""

from service.cli.words import Json, Model, Out


def inspect(model: Model, as_json: Json = False, out: Out = None) -> None:
    """List stacks, layers, modules and what is left out, from headers alone."""
    from analyzer.api import outline
    from service.cli.output import emit, warn
    from service.cli.tables import show_outline

    found = outline(model)
    warn(found.warnings)
    emit(found, as_json=as_json, out=out, show=lambda console: show_outline(console, found))
