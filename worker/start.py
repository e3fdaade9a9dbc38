"""Start a worker: Celery's main process, with its presence, a reaper, and an orderly end."""

import os
import platform
import signal
import sys
import threading
import time
from contextlib import suppress
from types import FrameType

import psutil
import structlog
from celery.signals import worker_ready

from analyzer.version import tailora_version
from ledger import presence, units
from ledger.access import Ledger
from ledger.errors import DatabaseUnavailable
from ledger.ids import new_id
from ledger.logs import configure_logs
from ledger.migrate import check
from ledger.patience import patient
from ledger.settings import Settings
from worker.app import ANALYZE, TRAIN
from worker.devices import check_trainer, devices
from worker.loops import Loop
from worker.reaper import reaper
from worker.run import COMMAND
from worker.tasks import DEVICES, QUEUE

LEAVING_SECONDS = 5.0
CHECKPOINT_SECONDS = 60.0
SAYING_SECONDS = 2.0
"""For a process of the pool to say in the ledger that its training stopped."""

log = structlog.get_logger()


class Presence:
    """A worker in the ledger's eyes, from the moment it can take work until it leaves."""

    def __init__(self, ledger: Ledger, worker: presence.Worker) -> None:
        """Say nothing yet."""
        self._ledger = ledger
        self._worker = worker
        self._loops = [
            Loop("presence", ledger.settings.presence, self._report),
            reaper(ledger),
        ]

    def begin(self, **_: object) -> None:
        """The pool is up: report, and let signals end the worker in order."""
        self._report()
        for loop in self._loops:
            loop.start()
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, self._asked_to_end)
        log.info("worker_ready", worker=self._worker.id, devices=self._worker.devices)

    def end(self) -> None:
        """Give back what is held, say goodbye, and end the process with its pool."""
        for loop in self._loops:
            loop.stop()
        _end_runs()
        _kill_pool()  # first, or a process that is done with its unit takes another
        try:
            given = patient(LEAVING_SECONDS)(self._leave)
            log.info("worker_left", worker=self._worker.id, given_back=given)
        except DatabaseUnavailable:
            log.warning("worker_left_unseen", worker=self._worker.id)
        _kill_pool()  # what Celery has put in their place
        sys.stderr.flush()
        os._exit(0)

    def _leave(self) -> int:
        with self._ledger.database.write() as connection:
            presence.leave(connection, self._worker.id)
            return units.give_back_all(connection, self._worker.id)

    def _report(self) -> bool:
        with self._ledger.database.write() as connection:
            presence.still_here(connection, self._worker)
        return False

    def _asked_to_end(self, number: int, frame: FrameType | None) -> None:
        """Not in the handler itself: it may have interrupted someone who holds a lock."""
        threading.Thread(target=self.end, name="leaving").start()


def _end_runs() -> None:
    """Let trainings write a checkpoint, for as long as a container has before it is killed."""
    runs = [child for child in psutil.Process().children(recursive=True) if _is_run(child)]
    if not runs:
        return
    end = time.monotonic() + CHECKPOINT_SECONDS
    while runs and time.monotonic() < end:
        for run in runs:  # again and again: at first it does not listen
            with suppress(psutil.NoSuchProcess):
                run.terminate()
        _, runs = psutil.wait_procs(runs, timeout=1.0)
    time.sleep(SAYING_SECONDS)


def _is_run(process: psutil.Process) -> bool:
    try:
        return COMMAND in process.cmdline() and "torch.distributed.run" not in process.cmdline()
    except psutil.Error:
        return False


def _kill_pool() -> None:
    pool = psutil.Process().children(recursive=True)
    for child in pool:
        with suppress(psutil.NoSuchProcess):
            child.kill()
    psutil.wait_procs(pool, timeout=LEAVING_SECONDS)


def run_worker(
    settings: Settings, *, queue: str = ANALYZE, name: str | None = None, follow: bool = False
) -> None:
    """Run a worker of a queue until it is asked to end; `follow`: also when standard input ends.

    One that measures has a process for each device; one that trains has all devices for one
    training. Raises WrongVersion, DatabaseUnavailable or WorkerMissing.
    """
    configure_logs(settings)
    ledger = Ledger(settings, patience=LEAVING_SECONDS)
    check(ledger.database)
    if queue == TRAIN:
        check_trainer()
        offered = [",".join(devices(settings.train_devices))]
    else:
        offered = devices(settings.analyze_devices)
    os.environ[DEVICES], os.environ[QUEUE] = ";".join(offered), queue
    if settings.threads:
        for variable in ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS"):
            os.environ[variable] = str(settings.threads)
    worker = presence.Worker(
        id=name or new_id("wrk"),
        host=platform.node(),
        queue=queue,
        devices=",".join(offered),
        slots=len(offered),
        version=tailora_version(),
    )
    there = Presence(ledger, worker)
    worker_ready.connect(there.begin, weak=False)
    if follow:
        threading.Thread(target=_follow, args=(there,), name="follow", daemon=True).start()
    from worker.celery import app

    app.worker_main(
        [
            "--quiet",
            "worker",
            f"--hostname={worker.id}",
            f"--concurrency={len(offered)}",
            f"--queues={queue}",
            "--without-gossip",
            "--without-mingle",
            "--without-heartbeat",
            "--loglevel=WARNING",
        ]
    )


def _follow(there: Presence) -> None:
    """Wait for the end of the one who started us, which closes our standard input."""
    while sys.stdin.buffer.read(1):
        pass
    there.end()
