"""A segment of a training, or of a comparison of trainings.

Its process runs until it has ended, or has had its time while others wait.
"""

import json
import shutil
import time
from pathlib import Path
from typing import Any

from sqlalchemy import Connection

from ledger.access import Ledger
from ledger.drafts import link_or_copy, sha256_of
from ledger.errors import NotFound
from ledger.events import record
from ledger.jobs import by_id
from ledger.queue import others_wait
from ledger.runs import drop_files, put_file, set_checkpoints
from ledger.units import Claim
from worker.errors import RunLost
from worker.follow import ComparisonFollower, Follower
from worker.lease import Lease
from worker.orders import DATA_FOLDER, INPUTS, at_once, write_order
from worker.outcome import Outcome
from worker.process import RunProcess, folder_lock
from worker.run import OUT
from worker.segments import add_segment, runs_folder

LOOK_SECONDS = 1.0
QUIET = 30
"""Deadlines that a run may show nothing new for: loading and evaluating a large model take long."""

ADAPTER, REPORT = "adapter", "report.json"
FOLLOWERS = {"training": Follower, "comparison": ComparisonFollower}


def run_segment(ledger: Ledger, held: Claim, lease: Lease, device: str) -> Outcome:
    """Train until the end, or for a segment.

    Raises RunFailed, RunLost, FolderBusy, HubUnavailable, Stopped, and what `write_order` raises.
    """
    job_id = held.payload["job_id"]
    with ledger.database.read() as connection:
        job = by_id(connection, job_id)
    if job is None:
        raise NotFound(f"{job_id} was deleted")
    folder = runs_folder(ledger.settings) / job_id
    started = time.monotonic()
    try:
        with folder_lock(folder) as lock:
            order = write_order(ledger, job, folder)
            follower = FOLLOWERS[job["kind"]](ledger, held, lease, folder)
            devices = device.split(",")[: at_once(order, len(device.split(",")))]
            process = RunProcess(folder, devices, ledger.settings.threads, lock)
        lease.on_stop(process.kill)
        try:
            _wait(ledger, process, follower)
            follower.look()
        finally:
            process.kill()
    finally:
        shutil.rmtree(folder / DATA_FOLDER, ignore_errors=True)
    result = process.outcome()
    report = {"seconds": round(time.monotonic() - started, 3), "device": device}
    if result["status"] == "stopped":
        return Outcome(report, lambda connection: _go_on(connection, ledger, job_id))
    return _ended(ledger, job_id, job["kind"], folder / OUT, result, report)


def _wait(ledger: Ledger, process: RunProcess, follower: Follower) -> None:
    """Until it has ended; where others wait it is asked to end, a segment after its first step."""
    settings = ledger.settings
    longest = settings.segment + QUIET * settings.deadline
    while not process.wait(LOOK_SECONDS):
        follower.look()
        now = time.monotonic()
        if now - follower.stirred > longest:
            raise RunLost(f"the training showed nothing new for {longest:.0f} s")
        if follower.began is not None and now - follower.began > settings.segment:
            with ledger.database.read() as connection:
                turn = others_wait(connection, "train")
            if turn:
                process.ask_to_stop()


def _go_on(connection: Connection, ledger: Ledger, job_id: str) -> None:
    add_segment(connection, job_id)
    record(connection, job_id, "paused", "a checkpoint was written; others have their turn")


def _ended(
    ledger: Ledger,
    job_id: str,
    kind: str,
    out: Path,
    result: dict[str, Any],
    report: dict[str, Any],
) -> Outcome:
    """What it came to, and that its files are kept in the transaction that says so."""
    document = {"schema": f"tailora.{kind}-result/1", **result}
    files = []
    if kind == "training":
        paths = sorted(path for path in (out / ADAPTER).rglob("*") if path.is_file())
        files = [_entry(out, path) for path in paths]
        document |= {"files": files, "report": json.loads((out / REPORT).read_bytes())}

    def publish(connection: Connection) -> None:
        for entry in files:
            copy = out / ".published"
            copy.unlink(missing_ok=True)
            link_or_copy(out / entry["name"], copy)
            digest = ledger.artifacts.put_file(connection, copy, entry["sha256"])
            put_file(connection, job_id, entry["name"], artifact=digest, size=entry["bytes"])
        drop_files(connection, job_id, INPUTS)
        set_checkpoints(connection, job_id, {})

    return Outcome({**report, "result": document}, publish)


def _entry(out: Path, file: Path) -> dict[str, Any]:
    name = file.relative_to(out).as_posix()
    return {"name": name, "bytes": file.stat().st_size, "sha256": sha256_of(file)}
