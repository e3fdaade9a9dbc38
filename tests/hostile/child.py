"""The parent's side of the driver: builds kinds, hands them over, sees the child die or hang."""

import json
import selectors
import shutil
import subprocess
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import Any, Self

from tests.hostile import KINDS

HANG = 60.0


class Child:
    """One driver process; a new one takes over where it dies, and the death is counted."""

    def __init__(self, root: Path) -> None:
        self._root = root
        self.deaths = 0
        self.growth = 0
        self._start()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._stop()

    def run(self, names: Iterable[str]) -> dict[str, dict[str, Any]]:
        """The report of each kind; `died` holds the exit status where the child did not answer."""
        return {name: self._run(name) for name in names}

    def _run(self, name: str) -> dict[str, Any]:
        folder = self._root / "model"
        folder.mkdir()
        try:
            KINDS[name].build(folder)
            self._say({"name": name, "folder": str(folder)})
            report = self._hear()
            if report is None:
                self.deaths += 1
                self._stop()
                report = {"died": self._process.returncode}
                self._start()
            else:
                self.growth = max(self.growth, report["peak"] - self._peak)
            return report
        finally:
            shutil.rmtree(folder)
            shutil.rmtree(self._root / "model-blobs", ignore_errors=True)

    def _start(self) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-m", "tests.hostile.driver"], text=True,
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, cwd=Path(__file__).parents[2],
        )  # fmt: skip
        ready = self._hear()
        assert ready is not None, "the driver did not start"
        self._peak = ready["peak"]

    def _stop(self) -> None:
        if self._process.poll() is None:
            self._process.kill()
        self._process.communicate()

    def _say(self, asked: dict[str, Any]) -> None:
        assert self._process.stdin is not None
        self._process.stdin.write(json.dumps(asked) + "\n")
        self._process.stdin.flush()

    def _hear(self) -> dict[str, Any] | None:
        """One line of the child; None where it ended or says nothing for too long."""
        stream = self._process.stdout
        assert stream is not None
        with selectors.DefaultSelector() as selector:
            selector.register(stream, selectors.EVENT_READ)
            line = stream.readline() if selector.select(HANG) else ""
        return json.loads(line) if line else None
