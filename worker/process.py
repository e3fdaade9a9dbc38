"""The process of a training as its worker sees it: start, wait, stop, and what it came to."""

import json
import os
import signal
import subprocess
import sys
from contextlib import suppress
from pathlib import Path
from typing import Any

import psutil
import structlog

from analyzer.errors import HubUnavailable
from worker.codes import INTERNAL
from worker.errors import RunFailed, RunLost
from worker.run import COMMAND, ERROR, RESULT

LOG = "log.txt"
TAIL = 2000
"""Characters of its output that the worker's log gets where it died."""

log = structlog.get_logger()


class RunProcess:
    """One process, or torchrun with one for each device."""

    def __init__(self, folder: Path, device: str, threads: int) -> None:
        """Start on what `folder` orders; `device` is a list such as `cuda:0,cuda:1`."""
        for left in (folder / RESULT, *folder.glob(ERROR)):
            left.unlink(missing_ok=True)
        self._folder = folder
        devices = device.split(",")
        self._several = len(devices) > 1
        with (folder / LOG).open("ab") as output:
            self._process = subprocess.Popen(
                [*_command(len(devices)), COMMAND, str(folder)],
                stdin=subprocess.PIPE,  # it ends when this closes, and so when we die
                stdout=output,
                stderr=output,
                start_new_session=True,
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
        """What it came to. Raises RunFailed, HubUnavailable, or RunLost where it left no word."""
        with suppress(FileNotFoundError):
            found: dict[str, Any] = json.loads((self._folder / RESULT).read_bytes())
            return found
        errors = [json.loads(file.read_bytes()) for file in sorted(self._folder.glob(ERROR))]
        if not errors:
            log.warning("run_lost", code=self._process.returncode, output=self._tail())
            raise RunLost(f"the process of the training ended with {self._process.returncode}")
        known = [error for error in errors if error["code"] != INTERNAL]
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
            return main.children(recursive=True) if self._several else [main]
        except psutil.NoSuchProcess:
            return []

    def _tail(self) -> str:
        return (self._folder / LOG).read_text(encoding="utf-8", errors="replace")[-TAIL:]


def _command(processes: int) -> list[str]:
    if processes == 1:
        return [sys.executable, "-m"]
    several = ["torch.distributed.run", "--standalone", "--nproc-per-node", str(processes), "-m"]
    return [sys.executable, "-m", *several]


def _environment(devices: list[str], threads: int) -> dict[str, str]:
    visible = [device.removeprefix("cuda:") for device in devices if device.startswith("cuda")]
    found = {"CUDA_VISIBLE_DEVICES": ",".join(visible)}
    if threads:
        found["OMP_NUM_THREADS"] = str(threads)
    return found
