"""A unit that this process holds: a thread keeps its lease and sees when it has to stop."""

import os
import signal
import threading
import time
from collections.abc import Callable

import structlog

from ledger import units
from ledger.access import Ledger
from ledger.errors import DatabaseUnavailable
from ledger.patience import patient
from ledger.units import Claim
from worker.errors import Stopped

GRACE_SECONDS = 2.0
"""For the unit to end by itself once it must; native code cannot be asked."""

log = structlog.get_logger()


class Lease:
    """Extends the lease of a claimed unit until it is left."""

    def __init__(
        self,
        ledger: Ledger,
        held: Claim,
        *,
        kill: Callable[[], None] = lambda: os.kill(os.getpid(), signal.SIGKILL),
    ) -> None:
        """Hold `held`; `kill` ends a process that does not stop by itself.

        A segment stops when its lease has run out while the ledger is away: another worker may
        have begun in the same folder. Spectra are kept by content, so that solving goes on.
        """
        self._exclusive = held.kind == "segment"
        self._ledger = ledger
        self._held = held
        self._kill = kill
        self._left = threading.Event()
        self._lost = threading.Event()
        self._on_stop: list[Callable[[], None]] = []
        self._thread = threading.Thread(target=self._beat, name="heartbeat", daemon=True)

    def __enter__(self) -> "Lease":
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: object
    ) -> None:
        """However the unit ended: where it had to stop, that is why. Raises Stopped."""
        self._left.set()
        self._thread.join()
        if not isinstance(error, Stopped):
            self.check()

    def on_stop(self, call: Callable[[], None]) -> None:
        """Call this when the unit must stop, so that it ends soon."""
        self._on_stop.append(call)

    def check(self) -> None:
        """Raise Stopped where the unit is no longer this worker's or wanted."""
        if self._lost.is_set():
            raise Stopped(f"unit {self._held.unit_id} is no longer wanted here")

    def progress(self) -> None:
        """One more spectrum is kept. Raises Stopped, or DatabaseUnavailable."""
        self.check()
        if not patient(self._ledger.settings.lease)(self._write_progress):
            self._lost.set()
        self.check()

    def _write_progress(self) -> bool:
        with self._ledger.database.write() as connection:
            return units.progress(connection, self._held, lease=self._ledger.settings.lease)

    def _beat(self) -> None:
        settings = self._ledger.settings
        held_until = time.monotonic() + settings.lease
        while not self._left.wait(settings.heartbeat):
            asked = time.monotonic()
            try:
                with self._ledger.database.write() as connection:
                    mine = units.heartbeat(connection, self._held, lease=settings.lease)
            except DatabaseUnavailable as error:
                log.warning("heartbeat_failed", unit=self._held.unit_id, reason=str(error))
                if self._exclusive and time.monotonic() > held_until:
                    self._stop()
                    return
                continue
            held_until = asked + settings.lease
            if not mine:
                self._stop()
                return

    def _stop(self) -> None:
        """Ask the unit to end; where it does not, the process goes and a new one comes."""
        log.info("unit_stopped", unit=self._held.unit_id, attempt=self._held.attempt)
        self._lost.set()
        for call in self._on_stop:
            call()
        if not self._left.wait(GRACE_SECONDS):
            log.warning("unit_killed", unit=self._held.unit_id, attempt=self._held.attempt)
            self._kill()
