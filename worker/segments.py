"""Jobs that are done in segments, one after the other: trainings and comparisons of them."""

import shutil
from pathlib import Path

from sqlalchemy import Connection, select

from ledger.access import Ledger
from ledger.adding import NewUnit, add_unit
from ledger.settings import Settings
from ledger.tables import jobs

KINDS = ("training", "comparison")
PHASE = "training"
RANK = 3
LONGEST = 7 * 86_400.0
"""Seconds of a segment that nobody waits for. One that hangs is noticed by its worker."""


def add_segment(connection: Connection, job_id: str) -> None:
    """Queue the unit that begins a job, or goes on with it."""
    add_unit(connection, job_id, NewUnit("segment", {"job_id": job_id}, RANK, 0.0, LONGEST))


def runs_folder(settings: Settings) -> Path:
    """Where runs have their checkpoints, which all workers must see: a folder for each job."""
    return settings.data.resolve() / "runs"


def sweep_runs(ledger: Ledger) -> int:
    """Delete the folders of trainings that have succeeded or were deleted; how many.

    Those that failed or were cancelled stay, since a retry goes on from their checkpoints.
    """
    folders = {folder.name: folder for folder in runs_folder(ledger.settings).glob("*_*")}
    with ledger.database.read() as connection:
        rows = connection.execute(select(jobs.c.id, jobs.c.state).where(jobs.c.id.in_(folders)))
        needed = {job_id for job_id, state in rows if state != "succeeded"}
    for name in folders.keys() - needed:
        shutil.rmtree(folders[name], ignore_errors=True)
    return len(folders.keys() - needed)
