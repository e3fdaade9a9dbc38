"""What was true a moment ago."""

import time
from threading import Lock
from typing import Generic, TypeVar

K = TypeVar("K")
V = TypeVar("V")


class Moments(Generic[K, V]):
    """Values that are good for some seconds; usable from several threads."""

    def __init__(self, seconds: float, most: int) -> None:
        """Keep `most` values at most: where there are more, all are forgotten."""
        self._seconds, self._most = seconds, most
        self._lock = Lock()
        self._known: dict[K, tuple[float, V]] = {}

    def get(self, key: K) -> V | None:
        """The value, where it is still good."""
        with self._lock:
            until, value = self._known.get(key, (0.0, None))
        return value if time.monotonic() < until else None

    def put(self, key: K, value: V, *, since: float | None = None) -> None:
        """A value that is true now, or was at a time of the monotonic clock."""
        since = time.monotonic() if since is None else since
        with self._lock:
            if len(self._known) >= self._most:
                self._known.clear()
            self._known[key] = since + self._seconds, value

    def forget(self, *keys: K) -> None:
        """It is true no more."""
        with self._lock:
            for key in keys:
                self._known.pop(key, None)

    def known(self) -> list[K]:
        """The keys of all values, good or not."""
        with self._lock:
            return list(self._known)
