"""A segment of a training, or of a comparison of trainings.

Its process runs until it has ended, or others have their turn.
"""

import hashlib
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from sqlalchemy import Connection

from ledger.access import Ledger
from ledger.errors import NotFound
from ledger.events import record
from ledger.jobs import by_id
from ledger.runs import put_file
from ledger.units import Claim
from worker.follow import ComparisonFollower, Follower
from worker.lease import Lease
from worker.orders import write_order
from worker.outcome import Outcome
from worker.process import RunProcess
from worker.run import OUT
from worker.segments import add_segment, runs_folder

LOOK_SECONDS = 1.0
PUBLISHED = {
    "training": ("recipe.json", "report.json", "adapter"),
    "comparison": ("asked.json", "comparison.json", "comparison.md"),
}
FOLLOWERS = {"training": Follower, "comparison": ComparisonFollower}


def run_segment(ledger: Ledger, held: Claim, lease: Lease, device: str) -> Outcome:
    """Train until the end, or for a segment. Raises RunFailed, RunLost, HubUnavailable, Stopped."""
    job_id = held.payload["job_id"]
    with ledger.database.read() as connection:
        job = by_id(connection, job_id)
    if job is None:
        raise NotFound(f"{job_id} was deleted")
    folder = runs_folder(ledger.settings) / job_id
    write_order(ledger, job, folder)
    follower = FOLLOWERS[job["kind"]](ledger, held, lease, folder)
    if job["kind"] == "comparison":  # its trainings go one after the other, each in one process
        device = device.partition(",")[0]
    started = time.monotonic()
    process = RunProcess(folder, device, ledger.settings.threads)
    lease.on_stop(process.kill)
    try:
        _wait(process, follower, started + ledger.settings.segment)
        follower.look()
    finally:
        process.kill()
    result = process.outcome()
    report = {"seconds": round(time.monotonic() - started, 3), "device": device}
    if result["status"] == "stopped":
        return Outcome(report, lambda connection: _go_on(connection, ledger, job_id))
    names = PUBLISHED[job["kind"]]
    files = [_entry(folder / OUT, file) for file in _published(folder / OUT, names)]
    document = {"schema": f"tailora.{job['kind']}-result/1", **result, "files": files}

    def publish(connection: Connection) -> None:
        for entry in files:
            copy = folder / "published"
            copy.unlink(missing_ok=True)
            copy.hardlink_to(folder / OUT / entry["name"])
            digest = ledger.artifacts.put_file(connection, copy, entry["sha256"])
            put_file(connection, job_id, entry["name"], artifact=digest, size=entry["bytes"])

    return Outcome({**report, "result": document}, publish)


def _wait(process: RunProcess, follower: Follower, until: float) -> None:
    while not process.wait(LOOK_SECONDS):
        follower.look()
        if time.monotonic() > until:
            process.ask_to_stop()


def _go_on(connection: Connection, ledger: Ledger, job_id: str) -> None:
    add_segment(connection, job_id, ledger.settings)
    record(connection, job_id, "paused", "a checkpoint was written; others have their turn")


def _published(out: Path, names: Sequence[str]) -> Iterator[Path]:
    for name in names:
        path = out / name
        yield from sorted(path.rglob("*")) if path.is_dir() else [path]


def _entry(out: Path, file: Path) -> dict[str, Any]:
    with file.open("rb") as stream:
        digest = hashlib.file_digest(stream, "sha256").hexdigest()
    name = file.relative_to(out).as_posix()
    return {"name": name, "bytes": file.stat().st_size, "sha256": digest}
