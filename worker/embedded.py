"""One machine: a worker process of our own, started again when it dies, ended when we end."""

import os
import shutil
import subprocess
import sys
import threading
import time

import structlog
from filelock import FileLock, Timeout

from ledger import units
from ledger.access import Ledger
from ledger.errors import DatabaseUnavailable, SettingsError
from ledger.ids import new_id
from ledger.patience import patient
from ledger.queue import unsend_all
from ledger.settings import Settings, variable
from worker.app import TRAIN
from worker.devices import shared_out

LONGEST_PAUSE = 30.0
HEALTHY_SECONDS = 60.0
STOP_SECONDS = 10.0
CHECKPOINT_SECONDS = 75.0
"""For a worker that trains, which lets its training write a checkpoint."""

KEEP_MESSAGES = 3600.0

log = structlog.get_logger()


def hold_data_folder(settings: Settings) -> FileLock:
    """Make the data folder ours until the process ends. Raises SettingsError."""
    try:
        settings.data.mkdir(parents=True, exist_ok=True)
        lock = FileLock(settings.data / "serve.lock")
        lock.acquire(timeout=0)
    except Timeout as error:
        raise SettingsError(
            f"another `tailora serve` uses {settings.data}; stop it, or set TAILORA_DATA"
        ) from error
    except OSError as error:
        raise SettingsError(
            f"TAILORA_DATA is wrong: {settings.data} cannot be used ({error.strerror})"
        ) from error
    return lock


def start_over(ledger: Ledger) -> None:
    """Nobody but us works on this ledger: what is leased or sent is left from before."""
    shutil.rmtree(ledger.settings.data / "messages", ignore_errors=True)
    with ledger.database.write() as connection:
        units.expire_all(connection)
        unsend_all(connection)
    ledger.artifacts.sweep(0.0)


class Supervisor:
    """Keeps one worker process of a queue running."""

    def __init__(self, ledger: Ledger, queue: str, *, alone: bool) -> None:
        """Start nothing yet; `alone`: the other queue has no worker here."""
        self._ledger, self._queue, self._alone = ledger, queue, alone
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="supervisor", daemon=True)
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Start the worker."""
        self._thread.start()

    def ask_to_stop(self) -> None:
        """Let the worker end in order."""
        self._stop.set()
        if self._process is not None:
            self._process.terminate()

    def stop(self) -> None:
        """End the worker, in order where it does so in time."""
        self.ask_to_stop()
        self._thread.join(CHECKPOINT_SECONDS if self._queue == TRAIN else STOP_SECONDS)
        if self._process is not None and self._process.poll() is None:
            self._process.kill()

    def _run(self) -> None:
        pause = 1.0
        settings = self._ledger.settings
        if not self._alone:
            own = {f"{self._queue}_devices": shared_out(settings, self._queue)}
            settings = settings.model_copy(update=own)
        while not self._stop.is_set():
            name, began = new_id("wrk"), time.monotonic()
            self._process = subprocess.Popen(
                [sys.executable, "-m", "worker", self._queue, name],
                stdin=subprocess.PIPE,
                start_new_session=True,  # Ctrl-C is ours to pass on, in order
                env={**os.environ, **own_environment(settings)},
            )
            code = self._process.wait()
            if self._stop.is_set():
                return
            log.warning("worker_died", code=code, worker=name)
            self._expire(name)
            pause = 1.0 if time.monotonic() - began > HEALTHY_SECONDS else pause
            self._stop.wait(pause)
            pause = min(2 * pause, LONGEST_PAUSE)

    def _expire(self, name: str) -> None:
        def expire() -> None:
            with self._ledger.database.write() as connection:
                units.expire_all(connection, name)
                unsend_all(connection)  # messages that it had taken in went with it

        try:
            patient(STOP_SECONDS)(expire)
        except DatabaseUnavailable:
            log.warning("leases_left", worker=name)


def own_environment(settings: Settings) -> dict[str, str]:
    """The settings that a command was given besides its environment, for a process of its own."""
    return {
        variable("data"): str(settings.data.resolve()),
        variable("models"): settings.models,
        variable("datasets"): settings.datasets,
        variable("database_url"): settings.database_url.get_secret_value(),
        variable("broker_url"): settings.broker_url.get_secret_value(),
        variable("analyze_devices"): settings.analyze_devices,
        variable("train_devices"): settings.train_devices,
        variable("threads"): str(settings.threads),
        variable("log_format"): settings.log_format,
        variable("log_level"): settings.log_level,
    }


def sweep_messages(settings: Settings) -> bool:
    """Delete messages that were taken long ago; False, so that the loop waits."""
    for file in (settings.data / "messages" / "done").glob("*"):
        if time.time() - file.stat().st_mtime > KEEP_MESSAGES:
            file.unlink(missing_ok=True)
    return False
