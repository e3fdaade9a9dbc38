"""The Hub double of the tests in a process of its own, which serves at a stated rate."""

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from analyzer.hub.open import open_hub
from analyzer.hub.settings import HubSettings
from analyzer.source import Source

NAME = "org/benchmark"
HERE = "127.0.0.1,localhost"


@contextmanager
def serve(folder: Path, rate: float | None = None) -> Iterator[str]:
    """The endpoint of a double that serves `folder` as NAME at `rate` bytes a second."""
    command = [sys.executable, "-m", "tests.hub", str(folder), "--name", NAME]
    command += ["--rate", str(rate)] if rate else []
    server = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    try:
        assert server.stdout is not None
        yield server.stdout.readline().split()[0]
    finally:
        server.terminate()
        server.wait()


def source_at(endpoint: str, cache: Path) -> Source:
    """What is served at an endpoint; `cache` is a Hub cache that holds nothing of it."""
    os.environ.update(NO_PROXY=HERE, no_proxy=HERE)
    return open_hub(NAME, settings=HubSettings(endpoint, cache))
