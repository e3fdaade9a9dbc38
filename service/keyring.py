"""Keys that were valid a moment ago, so that not every request asks the ledger."""

import time
from threading import Lock

from ledger.access import Ledger
from ledger.keys import Holder, holder_of

SECONDS = 0.5
"""For which a revoked key may still open something."""

MOST = 10_000


class KeyRing:
    """Of one process."""

    def __init__(self, ledger: Ledger) -> None:
        """Know no key yet."""
        self._ledger = ledger
        self._lock = Lock()
        self._known: dict[str, tuple[float, Holder]] = {}

    def remembered(self, text: str) -> Holder | None:
        """The holder of a key that was valid a moment ago; no other answer says anything."""
        with self._lock:
            until, holder = self._known.get(text, (0.0, None))
        return holder if time.monotonic() < until else None

    def holder(self, text: str) -> Holder | None:
        """The holder of a valid key; None for any other. Raises DatabaseUnavailable."""
        until = time.monotonic() + SECONDS
        pepper = self._ledger.settings.key_pepper.get_secret_value()
        with self._ledger.database.glance() as connection:
            holder = holder_of(connection, text, pepper)
        with self._lock:
            if len(self._known) >= MOST:
                self._known.clear()
            if holder is None:
                self._known.pop(text, None)
            else:
                self._known[text] = until, holder
        return holder
