"""The processes of the service, started as an operator does."""

import json
import os
import re
import signal
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

import psutil

from tests.servers.faults import SIGN, solves_in
from tests.servers.processes import Process

POOL = "spawn_main"
"""In the command of every process of a worker's pool."""


class Program:
    """A `tailora` command that may be killed and started again."""

    def __init__(
        self, *words: str, ready: str, folder: Path, name: str, environment: Mapping[str, str]
    ) -> None:
        """`ready` is the event in its log that says that it is up."""
        self.name = name
        self._ready, self._times, self._mark = f'"event": "{ready}"', 0, 0
        self.process = Process(
            *(sys.executable, "-m", "service.cli", *words),
            log=folder / f"{name}.log",
            environment=environment,
            folder=folder,
        )

    def start(self) -> None:
        if not self.process.running:  # it may have been killed before it was ready
            self._times = self.process.text().count(self._ready) + 1
            self.process.start()

    @property
    def is_started(self) -> bool:
        """Whether it ran at all."""
        return self._times > 0

    def wait_ready(self) -> None:
        self.process.wait_for(self._ready, 90, times=self._times)

    def mark(self) -> None:
        """Forget what it printed so far."""
        self._mark = len(self.process.text())

    def text(self) -> str:
        """What it printed since."""
        return self.process.text()[self._mark :]

    def lines(self, event: str) -> list[dict[str, Any]]:
        """Its log lines of an event."""
        return [line for line in _json(self.text()) if line.get("event") == event]

    def fired(self, what: str = "") -> int:
        """How often a fault fired in it."""
        return sum(what in line for line in re.findall(f"^{SIGN}.*", self.text(), re.MULTILINE))

    def solves(self) -> list[tuple[str, int]]:
        """Matrix and process of everything that it began to solve."""
        return solves_in(self.text())

    def pool(self) -> list[int]:
        """The living processes of a worker's pool."""
        return self.process.children(POOL)

    def identity(self) -> str:
        """The name that a worker has had since its last start."""
        return str([*_json(self.process.text(), "worker_ready")][-1]["worker"])


def kill_all(programs: list[Program]) -> None:
    """SIGKILL to everything at once: groups and all descendants."""
    started = [program for program in programs if program.is_started]
    for program in started:  # so that nobody starts others meanwhile
        program.process.pause()
    for program in started:
        program.process.close()


def kill_process(pid: int) -> None:
    """SIGKILL to one process, until it is gone."""
    os.kill(pid, signal.SIGKILL)
    end = time.monotonic() + 10
    with suppress(psutil.NoSuchProcess):
        while psutil.Process(pid).status() != psutil.STATUS_ZOMBIE:
            assert time.monotonic() < end, f"process {pid} survived"
            time.sleep(0.01)


def _json(text: str, event: str | None = None) -> Iterator[dict[str, Any]]:
    for line in text.splitlines():
        if line.startswith("{") and (event is None or f'"{event}"' in line):
            with suppress(ValueError):
                yield json.loads(line)
