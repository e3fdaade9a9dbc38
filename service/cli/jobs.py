"""`tailora jobs`: what the service works on."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal, get_args

import typer

from service.cli.words import Json

if TYPE_CHECKING:
    from rich.console import Console

jobs = typer.Typer(
    help="List, follow or cancel plans, analyses and trainings: of the service that TAILORA_URL "
    "names, else of this machine's own.",
    no_args_is_help=True,
)

Kind = Literal["plan", "analysis", "training", "comparison"]
StatusName = Literal["queued", "running", "cancelling", "succeeded", "failed", "cancelled"]
JobId = Annotated[str, typer.Argument(metavar="ID", help="pln_…, ana_…, trn_… or cmp_…")]

_SECONDS = 0.5
"""Between two looks at a job that is followed."""


@jobs.command("list")
def list_(
    kind: Annotated[Kind | None, typer.Option(help="Only these.")] = None,
    status: Annotated[StatusName | None, typer.Option(help="Only those in this state.")] = None,
    limit: Annotated[int, typer.Option(min=1, max=100, help="How many at most.")] = 20,
    as_json: Json = False,
) -> None:
    """List jobs, newest first."""
    from service.cli.jobsource import job_source
    from service.cli.jobtable import show_jobs
    from service.cli.output import stdout

    found: list[dict[str, Any]] = []
    more = False
    with job_source() as source:
        for each in (kind,) if kind else get_args(Kind):
            data, has_more = source.newest(each, status, limit)
            found += data
            more = more or has_more
    found.sort(key=lambda job: (job["created_at"], job["id"]), reverse=True)
    more = more or len(found) > limit
    if as_json:
        _print_json({"data": found[:limit], "has_more": more})
    else:
        show_jobs(stdout(), found[:limit], more)


@jobs.command()
def show(job_id: JobId, as_json: Json = False) -> None:
    """Show one job: how far it is, and what became of it."""
    from service.cli.jobsource import job_source, kind_of
    from service.cli.jobtable import show_job
    from service.cli.output import stdout

    kind = kind_of(job_id)
    with job_source() as source:
        found = source.show(kind, job_id)
    if as_json:
        _print_json(found)
    else:
        show_job(stdout(), found)


@jobs.command()
def watch(job_id: JobId, as_json: Json = False) -> None:
    """Print a job's events as they come until it ends; exit 1 unless it succeeds.

    With --json every event is one object on a line of its own. Ctrl-C leaves the job alone.
    """
    import time

    from service.cli.failures import FAILED
    from service.cli.interrupt import say_when_interrupted
    from service.cli.jobsource import job_source, kind_of
    from service.cli.output import stdout
    from service.client.envelope import ENDED

    kind = kind_of(job_id)
    say_when_interrupted(f"interrupted; {job_id} goes on, cancel it with `tailora jobs cancel`")
    last, console = 0, stdout()
    with job_source() as source:
        while True:
            status = source.show(kind, job_id)["status"]
            while events := source.events(kind, job_id, last):
                for event in events:
                    _print_event(console, event, as_json)
                last = events[-1]["seq"]
            if status in ENDED:
                break
            time.sleep(_SECONDS)
    if status != "succeeded":
        raise typer.Exit(FAILED)


@jobs.command()
def cancel(job_id: JobId, as_json: Json = False) -> None:
    """Ask a job to stop; what it has measured is kept, what it shares with others goes on."""
    from service.cli.jobsource import job_source, kind_of

    kind = kind_of(job_id)
    with job_source() as source:
        found = source.cancel(kind, job_id)
    if as_json:
        _print_json(found)
    else:
        typer.echo(f"{found['id']} is {found['status']}")


@jobs.command()
def download(
    job_id: JobId,
    out: Annotated[
        Path | None, typer.Option("--out", metavar="DIR", help="A new folder; ID by default.")
    ] = None,
) -> None:
    """Fetch the adapter of a training that has succeeded, each file compared with its sha256."""
    from service.cli.failures import CommandError
    from service.cli.jobsource import job_source, kind_of
    from trainer.exports.places import new_folder

    if kind_of(job_id) != "training":
        raise CommandError(f"{job_id} is no training; those begin with trn_")
    folder = out or Path(job_id)
    with job_source() as source:
        files = source.adapter(job_id)
        with new_folder(folder) as draft:
            for entry in files:
                place = draft / entry["name"]
                if not place.resolve().is_relative_to(draft):
                    raise CommandError(f"the service names a file {entry['name']!r}; not fetched")
                place.parent.mkdir(exist_ok=True)
                source.fetch(job_id, entry, place)
    typer.echo(f"the adapter is in {folder}")


def _print_event(console: "Console", event: dict[str, Any], as_json: bool) -> None:
    import json

    from service.cli.jobtable import event_line
    from service.cli.layout import print_line

    if as_json:
        typer.echo(json.dumps(event, ensure_ascii=False))
    else:
        print_line(console, event_line(event))


def _print_json(found: dict[str, Any]) -> None:
    import json

    typer.echo(json.dumps(found, indent=2, ensure_ascii=False))
