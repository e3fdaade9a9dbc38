"""A Redis of the tests' own."""

import shutil
import signal
import tempfile
from pathlib import Path
from typing import Any, Self

import pytest
import redis

from tests.servers.ports import free_port
from tests.servers.processes import Process

PASSWORD = "the-password-of-redis"


class Redis:
    """A server with a password on a free port, for as long as its context lasts.

    It keeps nothing over its end, or all that it confirmed with `append_only`.
    """

    def __init__(self, *, append_only: bool = False) -> None:
        program = shutil.which("redis-server")
        if program is None:
            pytest.fail("Redis is not installed; install it, e.g. apt-get install redis-server")
        self.port = free_port()
        self.url = f"redis://:{PASSWORD}@127.0.0.1:{self.port}/0"
        self.folder = Path(tempfile.mkdtemp(prefix="redis-"))
        settings = {
            "bind": "127.0.0.1",
            "port": self.port,
            "requirepass": PASSWORD,
            "dir": self.folder,
            "save": '""',
            "appendonly": "yes" if append_only else "no",
        }
        file = self.folder / "redis.conf"
        file.write_text("".join(f"{name} {value}\n" for name, value in settings.items()))
        self.process = Process(program, file, log=self.folder / "log", folder=self.folder)

    def __enter__(self) -> Self:
        try:
            self.start()
        except BaseException:
            self.close()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def client(self) -> "redis.Redis[Any]":
        """A client that waits for five seconds at most; close it."""
        return redis.Redis.from_url(
            self.url, decode_responses=True, socket_timeout=5, socket_connect_timeout=5
        )

    def start(self) -> None:
        """Start it unless it runs, and wait until it answers."""
        self.process.start()
        self.process.wait_for(self._answers)

    def stop(self) -> None:
        """End it in order."""
        if self.process.running:
            self.process.terminate(signal.SIGTERM)

    def kill(self) -> None:
        """End it with SIGKILL."""
        self.process.kill()

    def flush(self) -> None:
        """Empty all its databases."""
        with self.client() as client:
            client.flushall()

    def pause(self) -> None:
        self.process.pause()

    def resume(self) -> None:
        self.process.resume()

    def close(self) -> None:
        self.process.close()
        shutil.rmtree(self.folder)

    def _answers(self) -> bool:
        try:
            with self.client() as client:
                return bool(client.ping())
        except (redis.ConnectionError, redis.TimeoutError):
            return False
