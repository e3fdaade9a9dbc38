"""Where TAILORA_URL is set, the service does the work: the same words, the same output."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

import typer

from service.cli.failures import CommandError

if TYPE_CHECKING:
    from service.client.envelope import Envelope
    from service.client.server import Server
    from service.client.waiting import Watch

Made = TypeVar("Made")

_ASKED = "interrupted; if the service has taken the request, `tailora jobs list` shows it"
_GOES_ON = "interrupted; {id} goes on, follow it with `tailora jobs watch {id}`"


def wants_service() -> bool:
    """Whether TAILORA_URL names a service. Raises WrongAddress."""
    from service.client.address import from_environment

    return from_environment() is not None


@contextmanager
def service() -> Iterator["Server"]:
    """The service that TAILORA_URL names. Raises WrongAddress."""
    from service.client.address import from_environment
    from service.client.server import Server

    address = from_environment()
    assert address is not None
    with Server(address) as server:
        yield server


def refuse_local_options(context: typer.Context, *names: str) -> None:
    """Refuse what was typed and only means something on this machine. Raises CommandError."""
    for name in names:
        source = context.get_parameter_source(name)
        if source is not None and source.name == "COMMANDLINE":
            raise CommandError(
                f"--{name.replace('_', '-')} is for this machine, but TAILORA_URL has a service do "
                "the work; leave one of the two out"
            )


def check_place(model: str) -> None:
    """Refuse a path that means something here and something else there. Raises CommandError."""
    try:
        path = Path(model).expanduser()
        here = bool(model) and not path.is_absolute() and path.exists()
    except (OSError, RuntimeError, ValueError):
        return
    if here:
        raise CommandError(
            f"{model} lies here, but TAILORA_URL has a service do the work, which needs the "
            f"absolute path: {path.resolve()}"
        )


def made(ask: Callable[["Server", "Watch"], Made], quiet: bool) -> Made:
    """What the service makes, with its progress shown. Raises ClientError."""
    from service.cli.interrupt import say_when_interrupted
    from service.cli.progress import job_progress

    say_when_interrupted(_ASKED)
    with service() as server, job_progress(quiet) as show:

        def watch(found: "Envelope") -> None:
            say_when_interrupted(_GOES_ON.format(id=found.id))
            show(found)

        return ask(server, watch)
