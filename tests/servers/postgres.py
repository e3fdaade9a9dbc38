"""A PostgreSQL of the tests' own, as durable as in production."""

import os
import shutil
import signal
import subprocess
import tempfile
from pathlib import Path
from typing import Any, Self

import psycopg
import pytest
from psycopg.sql import SQL, Identifier

from tests.servers.ports import free_port
from tests.servers.processes import Process

USER, PASSWORD = "tailora", "the-password-of-postgres"


class Postgres:
    """A cluster in a temporary folder on a free port, for as long as its context lasts."""

    def __init__(self) -> None:
        programs = _programs()
        self.port = free_port()
        # Not below pytest's folder, which is closed to the user that PostgreSQL runs as.
        self.folder = Path(tempfile.mkdtemp(prefix="postgres-"))
        user = "postgres" if os.geteuid() == 0 else None
        if user:
            shutil.chown(self.folder, user, user)
        data, self._password = self.folder / "data", self.folder / "password"
        self._password.write_text(PASSWORD)
        self._password.chmod(0o644)
        self._initialise = [
            *(programs / "initdb", "--pgdata", data, "--username", USER, "--encoding", "UTF8"),
            *("--locale", "C", "--auth", "scram-sha-256", "--pwfile", self._password, "--no-sync"),
        ]
        self._user = user
        self.process = Process(
            *(programs / "postgres", "-D", data, "-p", self.port, "-h", "127.0.0.1"),
            *("-c", "unix_socket_directories=", "-c", "max_connections=200"),
            log=self.folder / "log",
            folder=self.folder,
            user=user,
        )

    def __enter__(self) -> Self:
        try:
            own = {"user": self._user, "group": self._user, "extra_groups": []}
            made = subprocess.run(
                self._initialise, capture_output=True, text=True, cwd=self.folder,
                **(own if self._user else {}),
            )  # fmt: skip
            assert made.returncode == 0, made.stdout + made.stderr
            self.start()
        except BaseException:
            self.close()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def url(self, database: str) -> str:
        """The address for SQLAlchemy."""
        return f"postgresql+psycopg://{USER}:{PASSWORD}@127.0.0.1:{self.port}/{database}"

    def connect(self, database: str = "postgres") -> psycopg.Connection[Any]:
        """A connection whose statements are committed one by one."""
        return psycopg.connect(
            self.url(database).replace("+psycopg", ""), autocommit=True, connect_timeout=5
        )

    def create(self, name: str) -> str:
        """A fresh database, in place of one of that name; its address."""
        self.drop(name)
        with self.connect() as connection:
            connection.execute(SQL("CREATE DATABASE {}").format(Identifier(name)))
        return self.url(name)

    def drop(self, name: str) -> None:
        """Remove a database, and those who are connected to it."""
        with self.connect() as connection:
            drop = SQL("DROP DATABASE IF EXISTS {} WITH (FORCE)")
            connection.execute(drop.format(Identifier(name)))

    def start(self) -> None:
        """Start it unless it runs, and wait until it answers."""
        self.process.start()
        self.process.wait_for(self._answers)

    def stop(self, immediate: bool = True) -> None:
        """Stop it: immediately, as after a crash, or after a checkpoint."""
        if self.process.running:
            self.process.terminate(signal.SIGQUIT if immediate else signal.SIGINT)

    def pause(self) -> None:
        """SIGSTOP to all its processes."""
        self.process.pause()

    def resume(self) -> None:
        self.process.resume()

    def close(self) -> None:
        self.process.resume()
        self.stop()  # or it would leave shared memory behind
        self.process.close()
        shutil.rmtree(self.folder)

    def _answers(self) -> bool:
        try:
            self.connect().close()
        except psycopg.OperationalError:
            return False
        return True


def _programs() -> Path:
    """The folder of initdb and postgres, of the newest release."""
    installed = [
        *sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"), key=_release),
        *(Path(found).resolve() for found in [shutil.which("initdb")] if found),
    ]
    complete = [path.parent for path in installed if (path.parent / "postgres").exists()]
    if not complete:
        pytest.fail("PostgreSQL is not installed; install it, e.g. apt-get install postgresql")
    return complete[0]


def _release(initdb: Path) -> int:
    name = initdb.parents[1].name
    return -int(name) if name.isdigit() else 0
