"""The one task: do a unit. Imported by the pool's processes."""

import os
from functools import cache

from billiard.process import current_process
from celery import Task, shared_task
from celery.signals import setup_logging, worker_process_init

from ledger.access import Ledger
from ledger.logs import configure_logs
from ledger.settings import load_settings
from worker.app import ANALYZE, TASK
from worker.running import PATIENCE, run_unit

DEVICES = "_TAILORA_DEVICES"
"""How the main process tells its pool which devices each of them has: between semicolons."""

QUEUE = "_TAILORA_QUEUE"
"""The same for its queue."""


@shared_task(bind=True, name=TASK, ignore_result=True)
def do_unit(self: Task, unit_id: str) -> None:
    """Do the unit of that id, if it is free."""
    devices = os.environ[DEVICES].split(";")
    device = devices[current_process().index % len(devices)]
    worker = str(self.request.hostname).rpartition("@")[2]  # Celery puts its name before ours
    run_unit(_ledger(), unit_id, worker, device)


@cache
def _ledger() -> Ledger:
    return Ledger(load_settings(), patience=PATIENCE)


@setup_logging.connect
def _own_logs(**_: object) -> None:
    configure_logs(load_settings())


@worker_process_init.connect
def _warm(**_: object) -> None:
    """Load the solver before the first unit needs it; a training has a process of its own."""
    if os.environ[QUEUE] == ANALYZE:
        import analyzer.solver  # noqa: F401
