"""From the files that a training writes to the ledger: metrics, checkpoints, progress, events."""

import json
from pathlib import Path
from typing import Any

from sqlalchemy import Connection

from ledger import units
from ledger.access import Ledger
from ledger.events import record
from ledger.runs import put_metrics, set_checkpoints, set_progress
from ledger.units import Claim
from trainer.finetune.checkpoints import MANIFEST, found_in, step_of
from worker.errors import Stopped
from worker.lease import Lease
from worker.run import METRICS, OUT, SAID


class Lines:
    """A file of JSON lines that grows, or is replaced by one that was cut back."""

    def __init__(self, file: Path, *, from_end: bool = False) -> None:
        """Nothing of it was read yet; or all that is there."""
        self._file, self._inode, self._offset = file, 0, 0
        if from_end and file.exists():
            found = file.stat()
            self._inode, self._offset = found.st_ino, found.st_size

    def new(self) -> list[dict[str, Any]]:
        """Whole lines since the last look; all of them where the file is another one."""
        try:
            with self._file.open("rb") as stream:
                inode = self._file.stat().st_ino
                if inode != self._inode:
                    self._inode, self._offset = inode, 0
                stream.seek(self._offset)
                content = stream.read()
        except FileNotFoundError:
            return []
        whole = content[: content.rfind(b"\n") + 1]
        self._offset += len(whole)
        return [json.loads(line) for line in whole.splitlines()]


class Follower:
    """Tells the ledger what a run's folder has that is new."""

    def __init__(self, ledger: Ledger, held: Claim, lease: Lease, folder: Path) -> None:
        """Follow the run of a claimed unit; to be made before its process starts."""
        self._ledger, self._held, self._lease = ledger, held, lease
        self._job = str(held.payload["job_id"])
        self._out = folder / OUT
        self._metrics = Lines(folder / OUT / METRICS)
        self._said = Lines(folder / SAID, from_end=True)
        self._sealed: dict[int, int] = {}
        self._last: dict[str, Any] | None = None

    def look(self) -> None:
        """Write what is new in one transaction. Raises Stopped, or DatabaseUnavailable."""
        lines, said, sealed = self._metrics.new(), self._said.new(), sealed_in(self._out)
        if not (lines or said or sealed != self._sealed):
            self._lease.check()
            return
        with self._ledger.database.write() as connection:
            if not units.heartbeat(connection, self._held, lease=self._ledger.settings.lease):
                raise Stopped(f"unit {self._held.unit_id} is no longer wanted here")
            for line in said:
                record(connection, self._job, "said", str(line["message"]))
            self._note_steps(connection, lines)
            new = set_checkpoints(connection, self._job, sealed)
            for step in new:
                message = f"step {step} can be gone on from"
                record(connection, self._job, "checkpoint", message, data={"step": step})
        self._sealed = sealed
        for _ in new:
            self._lease.progress()

    def _note_steps(self, connection: Connection, lines: list[dict[str, Any]]) -> None:
        """Every line is kept; of those that came at once the last is an event."""
        put_metrics(connection, self._job, lines)
        if not lines:
            return
        last = lines[-1]
        set_progress(connection, self._job, last["step"], last["steps"])
        if self._last is None or last["step"] > self._last["step"]:
            data = {name: value for name, value in last.items() if name != "mixtures"}
            message = f"step {last['step']} of {last['steps']}: loss {last['loss']:.4f}"
            record(connection, self._job, "step", message, data=data)
        self._last = last


def sealed_in(out: Path) -> dict[int, int]:
    """Bytes of each whole checkpoint by its step."""
    found = {}
    for folder in found_in(out):
        try:
            files = json.loads((folder / MANIFEST).read_bytes())["files"]
        except FileNotFoundError:  # not sealed yet, or rotated away a moment ago
            continue
        found[step_of(folder)] = sum(entry["bytes"] for entry in files.values())
    return found
