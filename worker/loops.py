"""What runs beside the work: loops in threads that outlast a database or broker that is away."""

import threading
from collections.abc import Callable

import structlog
from kombu.exceptions import OperationalError

from ledger.errors import DatabaseUnavailable

log = structlog.get_logger()

SLOWEST = 5.0
"""Seconds between tries while something is away."""


class Loop:
    """Calls a step again and again in a thread, until it is stopped.

    A step returns whether it did something; if so the next follows at once.
    """

    def __init__(self, name: str, seconds: float, step: Callable[[], bool]) -> None:
        """Call `step` every so many seconds."""
        self._name = name
        self._seconds = seconds
        self._step = step
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self.run, name=name, daemon=True)

    def start(self) -> "Loop":
        """Run in a thread."""
        self._thread.start()
        return self

    def stop(self) -> None:
        """End the loop after the step it is in."""
        self._stop.set()

    def run(self) -> None:
        """Run until stopped."""
        pause = self._seconds
        while not self._stop.wait(pause):
            try:
                pause = 0.0 if self._step() else self._seconds
            except (DatabaseUnavailable, OperationalError) as error:
                pause = min(SLOWEST, max(self._seconds, 1.0))
                log.warning("loop_waits", loop=self._name, reason=str(error)[:200])
            except Exception:
                pause = SLOWEST
                log.exception("loop_failed", loop=self._name)
