"""SIGTERM and SIGINT over more than one run."""

import signal
import threading
from types import FrameType, TracebackType
from typing import Any, Self


class Heard:
    """Notes, while it is entered, that a signal came; `asked` says so.

    A run that begins inside passes its own signals on, so that one which comes in its last step,
    too late to stop that run, still stops what would follow. Only the main thread can listen.
    """

    def __init__(self) -> None:
        """Not asked yet."""
        self.asked = False
        self._before: dict[int, Any] = {}

    def __call__(self, number: int, frame: FrameType | None) -> None:
        """The handler."""
        self.asked = True

    def __enter__(self) -> Self:
        """Listen."""
        if threading.current_thread() is threading.main_thread():
            for number in (signal.SIGTERM, signal.SIGINT):
                self._before[number] = signal.signal(number, self)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Listen no more."""
        while self._before:
            signal.signal(*self._before.popitem())
