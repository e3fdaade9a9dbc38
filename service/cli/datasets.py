"""`tailora datasets`: data for trainings of a service."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from service.cli.words import Json

if TYPE_CHECKING:
    from service.client.datasets import RemoteDatasets

datasets = typer.Typer(
    help="Upload, list or delete data for trainings of the service that TAILORA_URL names.",
    no_args_is_help=True,
)

Source = Literal["uploaded", "registered"]
FormatName = Literal["jsonl", "csv", "parquet"]
NameOrId = Annotated[str, typer.Argument(metavar="ID", help="dts_…, or a registered one's name.")]


@datasets.command()
def upload(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="A .jsonl, .csv or .parquet file.")],
    name: Annotated[
        str | None, typer.Option(help="What it is called there; the file's name by default.")
    ] = None,
    form: Annotated[
        FormatName | None, typer.Option("--format", help="Where the file's name does not say it.")
    ] = None,
    as_json: Json = False,
) -> None:
    """Send a file to the service, which looks at its columns and keeps it; its id."""
    from service.cli.failures import CommandError

    try:
        with _remote() as remote:
            found = remote.upload(file, name or file.name, form)
    except OSError as error:
        raise CommandError(f"cannot read {file}: {error.strerror}; give a file") from error
    if as_json:
        _print_json(found)
    else:
        typer.echo(found["id"])


@datasets.command("list")
def list_(
    source: Annotated[Source | None, typer.Option(help="Only these.")] = None,
    limit: Annotated[int, typer.Option(min=1, max=100, help="How many at most of each.")] = 20,
    as_json: Json = False,
) -> None:
    """List what can be trained on: your uploads, newest first, and what the operator registered."""
    from service.cli.datasettable import show_datasets
    from service.cli.output import stdout

    found: list[dict[str, Any]] = []
    more = False
    with _remote() as remote:
        for each in (source,) if source else ("uploaded", "registered"):
            data, has_more = remote.some(each, limit)
            found += data
            more = more or has_more
    if as_json:
        _print_json({"data": found, "has_more": more})
    else:
        show_datasets(stdout(), found, more)


@datasets.command()
def show(name_or_id: NameOrId, as_json: Json = False) -> None:
    """Show one dataset: its columns, and what can be learnt from it."""
    from service.cli.datasettable import show_dataset
    from service.cli.output import stdout

    with _remote() as remote:
        found = remote.show(name_or_id)
    if as_json:
        _print_json(found)
    else:
        show_dataset(stdout(), found)


@datasets.command()
def delete(
    dataset_id: Annotated[str, typer.Argument(metavar="ID", help="dts_…")],
) -> None:
    """Delete an uploaded dataset; one that a training needs stays."""
    with _remote() as remote:
        remote.delete(dataset_id)
    typer.echo(f"{dataset_id} deleted")


@contextmanager
def _remote() -> Iterator["RemoteDatasets"]:
    from service.cli.failures import CommandError
    from service.cli.remote import service, wants_service
    from service.client.datasets import RemoteDatasets

    if not wants_service():
        raise CommandError(
            "datasets are a service's: set TAILORA_URL to it (`tailora train --data FILE` needs "
            "no service)"
        )
    with service() as server:
        yield RemoteDatasets(server)


def _print_json(found: dict[str, Any]) -> None:
    import json

    typer.echo(json.dumps(found, indent=2, ensure_ascii=False))
