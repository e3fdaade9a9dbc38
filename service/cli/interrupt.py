"""Ctrl-C: at once where that is possible, and soon in any case."""

import os
import signal
import sys
import threading
from types import FrameType

import typer

GRACE_SECONDS = 1.0
_message = "interrupted; what was solved is kept, run again to continue"
_leaving = threading.Lock()


def end_soon_on_interrupt() -> None:
    """Let Ctrl-C end the process although a thread waits for a network that stays silent.

    What is half done gets a second to end in order; the store is whole at every moment.
    """
    signal.signal(signal.SIGINT, _interrupt)


def say_when_interrupted(message: str) -> None:
    """Say this from now on, where the work goes on elsewhere."""
    global _message
    _message = message


def leave(code: int) -> None:
    """Say that the run was interrupted, and end the process without waiting for its threads."""
    _leaving.acquire()  # never given back: the first to come ends the process
    typer.echo(_message, err=True)
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code)


def _interrupt(number: int, frame: FrameType | None) -> None:
    watchdog = threading.Timer(GRACE_SECONDS, leave, [128 + number])
    watchdog.daemon = True
    watchdog.start()
    raise KeyboardInterrupt
