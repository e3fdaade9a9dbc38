"""A byte rate shared by every connection."""

import threading
import time

from tests.hub.content import CHUNK

IDLE = 0.25


class Pace:
    """Each piece reserves the next free span of one timeline and waits until that span is over.

    A thread that wakes late is made up for by the spans behind it; only a pause of IDLE seconds
    starts the timeline anew, so there is no burst after one.
    """

    def __init__(self, rate: float | None = None) -> None:
        self.rate = rate
        self._free = 0.0
        self._lock = threading.Lock()

    @property
    def piece(self) -> int:
        """Bytes to write at once: a twentieth of a second at most."""
        return CHUNK * 4 if self.rate is None else int(min(max(self.rate / 20, 1), CHUNK))

    def wait(self, size: int) -> None:
        if self.rate is None:
            return
        with self._lock:
            now = time.monotonic()
            begin = now if now - self._free > IDLE else self._free
            self._free = begin + size / self.rate
            pause = self._free - now
        if pause > 0:
            time.sleep(pause)
