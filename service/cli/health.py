"""Whether a process of the service is healthy here: one line, and an exit code for a container."""

import platform
import threading
from collections.abc import Callable
from typing import TYPE_CHECKING, NoReturn, TypeVar

import typer

from service.cli.failures import FAILED, CommandError, explained

if TYPE_CHECKING:
    from ledger.settings import Settings

SECONDS = 10.0
"""A check that takes longer has failed."""

Found = TypeVar("Found")


def exit_by(check: Callable[["Settings"], str]) -> NoReturn:
    """Exit 0 with what a check found, or 1 with what is wrong; never later than its deadline."""
    from ledger.settings import load_settings

    try:
        found = within(SECONDS, lambda: check(load_settings()))
    except Exception as error:
        line = explained(error)
        if line is None:
            raise
        typer.echo(f"error: {line}", err=True)
        raise typer.Exit(FAILED) from error
    typer.echo(found)
    raise typer.Exit


def worker_here(settings: "Settings", queue: str) -> str:
    """A worker of this host and queue reported lately. Raises CommandError or LedgerError."""
    from ledger.presence import live_workers
    from service.cli.ownledger import own_ledger

    host = platform.node()
    with own_ledger(settings).database.read() as connection:
        found = live_workers(connection, presence=settings.presence)
    here = [worker for worker in found if (worker.host, worker.queue) == (host, queue)]
    if not here:
        raise CommandError(f"no worker of {host} for {queue} reported lately; see the worker's log")
    return f"{len(here)} of {host}: {', '.join(worker.devices for worker in here)}"


def can_dispatch(settings: "Settings") -> str:
    """Database and broker answer. Raises CommandError or LedgerError."""
    from service.cli.ownledger import own_ledger

    own_ledger(settings)
    return f"the database answers, {broker_answers(settings)}"


def broker_answers(settings: "Settings") -> str:
    """The broker takes a connection. Raises CommandError."""
    if not settings.broker.startswith("redis"):
        return "messages are files in the data folder"
    from redis import Redis
    from redis.exceptions import RedisError

    client = Redis.from_url(settings.broker, socket_connect_timeout=3, socket_timeout=3)
    try:
        client.ping()
    except RedisError as error:
        raise CommandError(
            f"the broker does not answer ({type(error).__name__}); see that Redis runs, and "
            "TAILORA_BROKER_URL"
        ) from error
    finally:
        client.close()
    return "Redis answers"


def within(seconds: float, look: Callable[[], Found]) -> Found:
    """What a function returns or raises. Raises CommandError where it takes too long."""
    found: list[Found] = []
    errors: list[BaseException] = []

    def run() -> None:
        try:
            found.append(look())
        except Exception as error:
            errors.append(error)

    thread = threading.Thread(target=run, daemon=True)
    thread.start()
    thread.join(seconds)
    if errors:
        raise errors[0]
    if not found:
        raise CommandError(f"no answer within {seconds:.0f} s")
    return found[0]
