"""The process of a training as its worker sees it: start, wait, stop, and what it came to."""

import fcntl
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import psutil
import structlog

from analyzer.errors import HubUnavailable
from worker.codes import INTERNAL
from worker.errors import FolderBusy, RunFailed, RunLost
from worker.run import COMMAND, ERROR, NOTHING_TO_KEEP, RESULT

LOG, LOCK = "log.txt", "run.lock"
WAIT_SECONDS = 20.0
"""For one before us, whose worker died, to be gone."""

TAIL = 2000
"""Characters of its output that the worker's log gets where it died."""

log = structlog.get_logger()


@contextmanager
def folder_lock(folder: Path) -> Iterator[int]:
    """A lock on a run's folder, as a number to hand on to its process, which then has it.

    Raises FolderBusy where another process has it, which may be of a worker on another machine.
    """
    folder.mkdir(parents=True, exist_ok=True)
    lock = os.open(folder / LOCK, os.O_RDWR | os.O_CREAT, 0o600)
    try:
        _acquire(lock, folder)
        yield lock
    finally:
        os.close(lock)


def _acquire(lock: int, folder: Path) -> None:
    end = time.monotonic() + WAIT_SECONDS
    while True:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            return
        except OSError as error:
            if time.monotonic() > end:
                raise FolderBusy(f"another process still trains in {folder.name}") from error
            time.sleep(0.2)


class RunProcess:
    """One process, or torchrun with one for each device."""

    def __init__(self, folder: Path, devices: Sequence[str], threads: int, lock: int) -> None:
        """Start on what `folder` orders, on devices such as `cuda:0`; `lock` is its folder's."""
        for left in (folder / RESULT, *folder.glob(ERROR)):
            left.unlink(missing_ok=True)
        self._folder, self._count = folder, len(devices)
        with (folder / LOG).open("wb") as output:
            self._process = subprocess.Popen(
                _command(len(devices)),
                cwd=folder,
                stdin=subprocess.PIPE,  # it ends when this closes, and so when we die
                stdout=output,
                stderr=output,
                start_new_session=True,
                pass_fds=(lock,),
                env={**os.environ, **_environment(devices, threads)},
            )

    def wait(self, seconds: float) -> bool:
        """Whether it has ended, after so many seconds at most."""
        with suppress(subprocess.TimeoutExpired):
            self._process.wait(seconds)
        return self._process.returncode is not None

    def ask_to_stop(self) -> None:
        """Let it write a checkpoint and end; to be said again, since it may not listen yet."""
        for process in self._workers():
            with suppress(psutil.NoSuchProcess):
                process.send_signal(signal.SIGTERM)

    def kill(self) -> None:
        """End it now, with all its processes."""
        with suppress(ProcessLookupError):
            os.killpg(self._process.pid, signal.SIGKILL)
        self._process.wait()
        assert self._process.stdin is not None
        self._process.stdin.close()

    def outcome(self) -> dict[str, Any]:
        """What it came to.

        Raises RunFailed, HubUnavailable, FolderBusy where it was asked to end before there was
        anything to keep, or RunLost where one of its processes left no word.
        """
        with suppress(FileNotFoundError):
            found: dict[str, Any] = json.loads((self._folder / RESULT).read_bytes())
            return found
        if self._process.returncode == NOTHING_TO_KEEP:
            raise FolderBusy("it was asked to end before its first step")
        errors = [json.loads(file.read_bytes()) for file in sorted(self._folder.glob(ERROR))]
        known = [error for error in errors if error["code"] != INTERNAL]
        if not known and len(errors) < self._count:  # the others fail where one was killed
            log.warning("run_lost", code=self._process.returncode, output=self._tail())
            raise RunLost(f"the process of the training ended with {self._process.returncode}")
        if not known:
            log.error("run_failed", output=self._tail())
        error = (known or errors)[0]
        if error["code"] == "hub_unavailable":
            raise HubUnavailable(error["detail"])
        raise RunFailed(error)

    def _workers(self) -> list[psutil.Process]:
        """Those that train: torchrun itself would give them half a minute."""
        try:
            main = psutil.Process(self._process.pid)
            return main.children(recursive=True) if self._count > 1 else [main]
        except psutil.NoSuchProcess:
            return []

    def _tail(self) -> str:
        return (self._folder / LOG).read_text(encoding="utf-8", errors="replace")[-TAIL:]


def _command(processes: int) -> list[str]:
    """`-P`: what lies in the folder is data, never code."""
    if processes == 1:
        return [sys.executable, "-P", "-m", COMMAND]
    several = ["torch.distributed.run", "--standalone", "--nproc-per-node", str(processes)]
    return [sys.executable, "-P", "-m", *several, "-m", COMMAND]


def _environment(devices: Sequence[str], threads: int) -> dict[str, str]:
    """GPUs are numbered among those that this worker sees itself."""
    numbers = [int(device.removeprefix("cuda:")) for device in devices if device != "cpu"]
    seen = os.environ.get("CUDA_VISIBLE_DEVICES")
    names = (
        seen.split(",") if seen else [str(number) for number in range(max(numbers, default=0) + 1)]
    )
    found = {"CUDA_VISIBLE_DEVICES": ",".join(names[number] for number in numbers)}
    if threads:
        found["OMP_NUM_THREADS"] = str(threads)
    return found
