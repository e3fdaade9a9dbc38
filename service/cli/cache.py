"""`tailora cache`: what is kept, and how to let it go."""

from typing import Annotated

import typer

from service.cli.words import Cache, Json

cache = typer.Typer(help="List or prune the spectra that are kept.", no_args_is_help=True)


@cache.command("list")
def list_(folder: Cache = None, as_json: Json = False) -> None:
    """List the kept spectra by model."""
    import json

    from analyzer.store import FolderStore, default_folder
    from service.cli.output import stdout
    from service.cli.tables import show_cache
    from service.cli.usage import summarise

    store = FolderStore(folder or default_folder())
    rows = summarise(store.entries())
    if as_json:
        typer.echo(json.dumps({"folder": str(store.folder), "models": rows}, indent=2))
    else:
        show_cache(stdout(), str(store.folder), rows)


@cache.command()
def prune(
    folder: Cache = None,
    model: Annotated[str | None, typer.Option(help="Only spectra first solved for this.")] = None,
    older_than: Annotated[
        float | None, typer.Option(metavar="DAYS", help="Only spectra older than this.")
    ] = None,
    everything: Annotated[bool, typer.Option("--all", help="All spectra.")] = False,
) -> None:
    """Delete kept spectra; they are solved again when needed."""
    import time

    from analyzer.store import FolderStore, default_folder
    from service.cli.failures import CommandError

    store = FolderStore(folder or default_folder())
    if everything == (model is not None or older_than is not None):
        raise CommandError("say what to prune: --all, or --model MODEL, --older-than DAYS or both")
    limit = time.time() - (older_than or 0.0) * 86_400
    chosen = [
        entry
        for entry in store.entries()
        if (model is None or entry.model == model) and entry.written <= limit
    ]
    for entry in chosen:
        store.remove(entry)
    if everything:
        store.clear()
    freed = sum(entry.bytes for entry in chosen)
    typer.echo(f"{len(chosen)} spectra deleted, {freed / 1e6:.1f} MB freed in {store.folder}")
