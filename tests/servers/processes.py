"""Real processes for tests that kill them, of which none outlives its test."""

import os
import signal
import subprocess
import time
import uuid
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, Self

import psutil

MARK = "TEST_PROCESS"
"""The variable by which a process is known that left its group and lost its parent.

Programs that write their title over their environment lose it: PostgreSQL and Redis.
"""


class Process:
    """A process in a group of its own, for as long as its context lasts; it may start again.

    What it prints is appended to `log`. `environment` is added to that of the test.
    """

    def __init__(
        self,
        *command: object,
        log: Path,
        environment: Mapping[str, str] | None = None,
        folder: Path | None = None,
        user: str | None = None,
    ) -> None:
        self.command = [str(word) for word in command]
        self.log = log
        self._mark = uuid.uuid4().hex
        self._environment = {"PYTHONUNBUFFERED": "1", **(environment or {}), MARK: self._mark}
        self._folder, self._user = folder, user
        self._process: subprocess.Popen[bytes] | None = None
        self._stopped = False

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.close()
        print(f"{' '.join(self.command)} printed, at last:\n{self.tail()}")

    def start(self) -> None:
        """Start it unless it runs."""
        if self.running:
            return
        self._stopped = False
        own = {"user": self._user, "group": self._user, "extra_groups": []} if self._user else {}
        with self.log.open("ab") as log:
            self._process = subprocess.Popen(
                self.command, stdin=subprocess.DEVNULL, stdout=log, stderr=log, cwd=self._folder,
                env={**os.environ, **self._environment}, start_new_session=True, **own,
            )  # fmt: skip

    @property
    def pid(self) -> int:
        return self._started.pid

    @property
    def running(self) -> bool:
        return self._process is not None and self._process.poll() is None

    @property
    def returncode(self) -> int | None:
        return self._started.poll()

    def wait(self, timeout: float = 30) -> int:
        """Its exit code, once it has ended."""
        with self._explained(f"it runs after {timeout} s", subprocess.TimeoutExpired):
            return self._started.wait(timeout)

    def kill(self) -> None:
        """SIGKILL to it alone."""
        self._end(lambda: self._started.kill())

    def kill_group(self) -> None:
        """SIGKILL to it and all that stayed in its group, also after its own end."""
        self._end(lambda: os.killpg(self.pid, signal.SIGKILL))

    def terminate(self, number: int = signal.SIGTERM, timeout: float = 30) -> int:
        """Ask it to end; its exit code."""
        self._stopped = True
        self._started.send_signal(number)
        return self.wait(timeout)

    def pause(self) -> None:
        """SIGSTOP to it and all that it started."""
        with suppress(ProcessLookupError):  # at once, so that nobody starts others meanwhile
            os.killpg(self.pid, signal.SIGSTOP)
        self._signal(signal.SIGSTOP)

    def resume(self) -> None:
        self._signal(signal.SIGCONT)

    def children(self, command: str = "") -> list[int]:
        """All that it started and that live, also without a parent; `command` is in their words."""
        found = []
        for process in self._members():
            with suppress(psutil.Error):
                if process.pid != self.pid and command in " ".join(process.cmdline()):
                    found.append(process.pid)
        return found

    def text(self) -> str:
        return self.log.read_text(errors="replace") if self.log.exists() else ""

    def tail(self, lines: int = 60) -> str:
        return "\n".join(self.text().splitlines()[-lines:])

    def wait_for(
        self, what: str | Callable[[], Any], timeout: float = 30, *, times: int = 1
    ) -> Any:
        """Wait until its log holds a text, so many times, or until a function returns a true value.

        Fails with the end of the log: at once where it ended without being told to, with all that
        it started.
        """

        def happened() -> Any:
            return self.text().count(what) >= times if isinstance(what, str) else what()

        end = time.monotonic() + timeout
        while True:
            over = time.monotonic() > end
            ended = not (self.running or self._stopped or self.children())
            if value := happened():
                return value
            if over or ended:
                why = f"after {timeout} s" if over else f"and it ended with {self.returncode}"
                name = repr(what) if isinstance(what, str) else getattr(what, "__name__", what)
                raise AssertionError(f"not seen: {name}, {why}; its log:\n{self.tail()}")
            time.sleep(0.02)

    def close(self) -> None:
        """SIGKILL to all that it started, until nobody is left."""
        if self._process is None:
            return
        self._stopped = True
        end = time.monotonic() + 30
        while self._signal(signal.SIGKILL):
            assert time.monotonic() < end, f"cannot be killed: {self._members()}"
            self._process.poll()
            time.sleep(0.01)
        self._process.wait()

    @property
    def _started(self) -> subprocess.Popen[bytes]:
        assert self._process is not None, "it was not started"
        return self._process

    def _end(self, kill: Callable[[], None]) -> None:
        self._stopped = True
        with suppress(ProcessLookupError):
            kill()
        self.wait()

    def _signal(self, number: int) -> int:
        """Send it to all; to how many."""
        members = self._members()
        for process in members:
            with suppress(psutil.NoSuchProcess):
                process.send_signal(number)
        return len(members)

    def _members(self) -> list[psutil.Process]:
        """It and all that it started, as far as they live."""
        below: set[int] = set()
        with suppress(psutil.NoSuchProcess):
            if self.running:
                below = {child.pid for child in psutil.Process(self.pid).children(recursive=True)}
        return [p for p in psutil.process_iter() if self._is_member(p, below)]

    def _is_member(self, process: psutil.Process, below: set[int]) -> bool:
        try:
            if process.pid == os.getpid() or process.status() == psutil.STATUS_ZOMBIE:
                return False
            if process.pid in below or os.getpgid(process.pid) == self.pid:
                return True
            return process.environ().get(MARK) == self._mark
        except (psutil.Error, OSError):
            return False

    @contextmanager
    def _explained(self, why: str, error: type[Exception]) -> Iterator[None]:
        try:
            yield
        except error:
            raise AssertionError(f"{why}; its log:\n{self.tail()}") from None
