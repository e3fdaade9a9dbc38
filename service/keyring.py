"""Keys that were valid a moment ago, so that not every request asks the ledger."""

import time

from ledger.access import Ledger
from ledger.keys import Holder, holder_of
from service.moments import Moments

SECONDS = 0.5
"""For which a revoked key may still open something."""

MOST = 10_000


class KeyRing:
    """Of one process."""

    def __init__(self, ledger: Ledger) -> None:
        """Know no key yet."""
        self._ledger = ledger
        self._known: Moments[str, Holder] = Moments(SECONDS, MOST)

    def remembered(self, text: str) -> Holder | None:
        """The holder of a key that was valid a moment ago; no other answer says anything."""
        return self._known.get(text)

    def holder(self, text: str) -> Holder | None:
        """The holder of a valid key; None for any other. Raises DatabaseUnavailable."""
        asked = time.monotonic()
        pepper = self._ledger.settings.key_pepper.get_secret_value()
        with self._ledger.database.glance() as connection:
            holder = holder_of(connection, text, pepper)
        if holder is None:
            self._known.forget(text)
        else:
            self._known.put(text, holder, since=asked)
        return holder
