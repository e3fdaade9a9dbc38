"""The entry point of `tailora`. Imports nothing heavy: commands import what they need."""

import io
import os
import sys

import typer

from service.cli.analyze import analyze
from service.cli.cache import cache
from service.cli.compare import compare
from service.cli.compare_training import compare_training
from service.cli.datasets import datasets
from service.cli.db import db
from service.cli.doctor import doctor
from service.cli.evaluate import evaluate
from service.cli.explain import explain
from service.cli.export import export
from service.cli.import_plan import import_plan
from service.cli.inspect import inspect
from service.cli.jobs import jobs
from service.cli.keys import keys
from service.cli.merge import merge
from service.cli.plan import plan
from service.cli.plot import plot
from service.cli.processes import api, dispatcher, serve, worker
from service.cli.prune import prune
from service.cli.to_lora import to_lora
from service.cli.train import train

_SERVICE = "Service"

app = typer.Typer(
    name="tailora",
    help="From a model's weights to a plan for its LoRA experts.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
app.command()(inspect)
app.command()(analyze)
app.command()(plan)
app.command()(compare)
app.command()(explain)
app.command()(plot)
app.command()(export)
app.command("import")(import_plan)
app.command()(train)
app.command("eval")(evaluate)
app.command("compare-training")(compare_training)
app.command()(merge)
app.command("to-lora")(to_lora)
app.add_typer(cache, name="cache")
app.command()(doctor)
app.command(rich_help_panel=_SERVICE)(serve)
app.add_typer(jobs, name="jobs", rich_help_panel=_SERVICE)
app.add_typer(datasets, name="datasets", rich_help_panel=_SERVICE)
app.add_typer(keys, name="keys", rich_help_panel=_SERVICE)
app.add_typer(db, name="db", rich_help_panel=_SERVICE)
app.command(rich_help_panel=_SERVICE)(prune)
app.command(rich_help_panel=_SERVICE)(api)
app.command(rich_help_panel=_SERVICE)(dispatcher)
app.command(rich_help_panel=_SERVICE)(worker)


def _version(wanted: bool) -> None:
    if wanted:
        from importlib.metadata import version

        typer.echo(f"tailora {version('tailora')}")
        raise typer.Exit


@app.callback()
def _options(
    debug: bool = typer.Option(False, "--debug", help="Show tracebacks."),
    version: bool = typer.Option(
        False, "--version", help="Show the version.", callback=_version, is_eager=True
    ),
) -> None:
    if debug:
        os.environ["TAILORA_DEBUG"] = "1"


def main() -> None:
    """Run the command; an expected error becomes one line on stderr and an exit code."""
    from service.cli.failures import INTERRUPTED, exit_code, explained
    from service.cli.interrupt import end_soon_on_interrupt, leave

    end_soon_on_interrupt()

    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="replace")  # a terminal without Unicode shows ? for a bar
    try:
        app()
    except SystemExit as stop:
        if stop.code == INTERRUPTED:
            leave(INTERRUPTED)
        raise
    except Exception as error:
        line = explained(error)
        if line is None or os.environ.get("TAILORA_DEBUG"):
            raise
        typer.echo(f"error: {line}", err=True)
        sys.exit(exit_code(error))
