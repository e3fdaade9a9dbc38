"""From the files that a training writes to the ledger: metrics, checkpoints, progress, events."""

import json
import os
import time
from pathlib import Path
from typing import Any

import structlog
from sqlalchemy import Connection

from ledger import units
from ledger.access import Ledger
from ledger.errors import DatabaseUnavailable
from ledger.events import record
from ledger.runs import last_step, put_metrics, set_checkpoints, set_progress
from ledger.units import Claim
from trainer.finetune.checkpoints import MANIFEST, found_in, step_of
from worker.errors import Stopped
from worker.lease import Lease
from worker.run import ASKED, METRICS, OUT, RESULT, RUNS, SAID

log = structlog.get_logger()


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
                inode = os.fstat(stream.fileno()).st_ino
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
    """Tells the ledger what a training's folder has that is new.

    What the ledger could not be told, because it was away, it is told at the next look.
    """

    def __init__(self, ledger: Ledger, held: Claim, lease: Lease, folder: Path) -> None:
        """Follow the run of a claimed unit; to be made before its process starts."""
        self._ledger, self._held, self._lease = ledger, held, lease
        self._job = str(held.payload["job_id"])
        self._out = folder / OUT
        self._metrics = Lines(folder / OUT / METRICS)
        self._said = Lines(folder / SAID, from_end=True)
        self._lines: list[dict[str, Any]] = []
        self._words: list[str] = []
        self._told: dict[Path, int] = {}
        self._kept = set(self._whole())
        with ledger.database.read() as connection:
            self._step = last_step(connection, self._job)
        self.stirred = time.monotonic()
        """When the run last showed that it goes on."""

        self.began: float | None = None
        """When it was seen to have made a step."""

    def look(self) -> None:
        """Write what is new in one transaction. Raises Stopped."""
        lines, words, kept = self._metrics.new(), self._said.new(), self._whole()
        if lines or words or kept != self._told:
            self.stirred = time.monotonic()
        self._lines += [line for line in lines if line["step"] > self._step]
        self._words += [str(line["message"]) for line in words]
        if self.began is None and (self._lines or kept.keys() - self._kept):
            self.began = time.monotonic()
        self._lease.check()
        if not (self._lines or self._words or kept != self._told):
            return
        try:
            self._write(kept)
            if kept.keys() - self._kept:
                self._lease.progress()
        except DatabaseUnavailable as error:
            log.warning("run_not_told", job=self._job, reason=str(error))
            return
        self._kept |= kept.keys()

    def _write(self, kept: dict[Path, int]) -> None:
        with self._ledger.database.write() as connection:
            if not units.heartbeat(connection, self._held, lease=self._ledger.settings.lease):
                raise Stopped(f"unit {self._held.unit_id} is no longer wanted here")
            for message in self._words:
                record(connection, self._job, "said", message)
            self._note_steps(connection)
            self._note_kept(connection, kept)
        if self._lines:
            self._step = self._lines[-1]["step"]
        self._lines, self._words, self._told = [], [], kept

    def _whole(self) -> dict[Path, int]:
        """What a next start can go on from: checkpoints, and their bytes."""
        return sealed_in(self._out)

    def _note_steps(self, connection: Connection) -> None:
        """Every line is kept; of those that came at once the last is an event."""
        put_metrics(connection, self._job, self._lines)
        if not self._lines:
            return
        last = self._lines[-1]
        set_progress(connection, self._job, last["step"], last["steps"])
        data = {name: value for name, value in last.items() if name != "mixtures"}
        message = f"step {last['step']} of {last['steps']}: loss {last['loss']:.4f}"
        record(connection, self._job, "step", message, data=data)

    def _note_kept(self, connection: Connection, kept: dict[Path, int]) -> None:
        sizes = {step_of(folder): size for folder, size in kept.items()}
        for step in set_checkpoints(connection, self._job, sizes):
            message = f"step {step} can be gone on from"
            record(connection, self._job, "checkpoint", message, data={"step": step})


class ComparisonFollower(Follower):
    """The same of a comparison: it counts trainings, and the metrics of each stay with it."""

    def _whole(self) -> dict[Path, int]:
        """Trainings that have ended, and the checkpoints of the one that is under way."""
        ended = {file: 0 for file in self._out.glob(f"{RUNS}/*/{RESULT}")}
        running = {folder for folder in self._out.glob(f"{RUNS}/*") if folder / RESULT not in ended}
        return ended | {at: size for folder in running for at, size in sealed_in(folder).items()}

    def _note_kept(self, connection: Connection, kept: dict[Path, int]) -> None:
        asked = json.loads((self._out / ASKED).read_bytes())
        ended = sum(path.name == RESULT for path in kept)
        set_progress(connection, self._job, ended, len(asked["arms"]) * len(asked["seeds"]))


def sealed_in(out: Path) -> dict[Path, int]:
    """Whole checkpoints of a run, and their bytes."""
    found = {}
    for folder in found_in(out):
        try:
            files = json.loads((folder / MANIFEST).read_bytes())["files"]
        except FileNotFoundError:  # not sealed yet, or rotated away a moment ago
            continue
        found[folder] = sum(entry["bytes"] for entry in files.values())
    return found
