"""`tailora serve`, `api`, `dispatcher` and `worker`: the processes of the service."""

import signal
from pathlib import Path
from types import FrameType
from typing import Annotated, Literal

import typer

Check = Annotated[
    bool, typer.Option("--check", help="Start nothing: exit 0 if one is healthy here, else 1.")
]


def serve(
    host: Annotated[
        str | None, typer.Option(help="Address to listen on; beyond this machine keys are asked.")
    ] = None,
    port: Annotated[int | None, typer.Option(help="Port to listen on; 0: a free one.")] = None,
    models: Annotated[
        list[Path] | None,
        typer.Option(metavar="DIR", help="A folder that models may be read from; may be repeated."),
    ] = None,
    datasets: Annotated[
        list[Path] | None,
        typer.Option(metavar="DIR", help="A folder of data to train on; may be repeated."),
    ] = None,
    data: Annotated[
        Path | None, typer.Option(metavar="DIR", help="Where database and results are kept.")
    ] = None,
) -> None:
    """Serve plans over HTTP on this machine, with nothing else to install.

    Options go before the variables of the environment (TAILORA_HOST, TAILORA_PORT …).
    """
    import os

    from ledger.settings import load_settings
    from service.server import serve as serve_all

    _end_in_order()
    folders, sets = (os.pathsep.join(map(str, given or ())) or None for given in (models, datasets))
    serve_all(load_settings(host=host, port=port, models=folders, datasets=sets, data=data))


def api() -> None:
    """Serve the HTTP API alone; workers and a dispatcher run elsewhere."""
    from ledger.settings import load_settings
    from service.server import run_api

    _end_in_order()
    run_api(load_settings())


def worker(
    check: Check = False,
    queue: Annotated[
        Literal["analyze", "train"],
        typer.Option(help="What it does: measure, or train on all of TAILORA_TRAIN_DEVICES."),
    ] = "analyze",
) -> None:
    """Run a worker; one for each machine and queue."""
    from ledger.settings import load_settings

    if check:
        from service.cli.health import exit_by, worker_here

        exit_by(lambda settings: worker_here(settings, queue))
    from worker.start import run_worker

    run_worker(load_settings(), queue=queue)


def dispatcher(check: Check = False) -> None:
    """Run the dispatcher, which sends work to the workers; one is enough."""
    if check:
        from service.cli.health import can_dispatch, exit_by

        exit_by(can_dispatch)
    from ledger.logs import configure_logs
    from ledger.settings import load_settings
    from service.cli.ownledger import own_ledger
    from worker.app import make_app
    from worker.dispatcher import dispatcher as dispatching
    from worker.housekeeper import housekeeper
    from worker.reaper import reaper

    settings = load_settings()
    configure_logs(settings)
    ledger = own_ledger(settings)
    loop = dispatching(ledger, make_app(settings))
    beside = [reaper(ledger).start(), housekeeper(ledger).start()]
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: loop.stop())
    loop.run()
    for each in beside:
        each.stop()


def _end_in_order() -> None:
    """Let SIGTERM and Ctrl-C end the process by its own clean-up, and with exit code 0."""
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, _end)


def _end(number: int, frame: FrameType | None) -> None:
    raise SystemExit(0)
