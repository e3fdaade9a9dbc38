"""One engine for SQLite and PostgreSQL: short transactions, and one error when it is away."""

import sqlite3
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psutil
from sqlalchemy import Connection, Engine, create_engine, event
from sqlalchemy.engine import make_url
from sqlalchemy.exc import DBAPIError, InterfaceError, OperationalError
from sqlalchemy.exc import TimeoutError as PoolTimeout
from tenacity import Retrying, retry_if_exception_type, stop_after_delay, wait_random

from ledger.errors import DatabaseUnavailable, SettingsError
from ledger.settings import Settings

NETWORK = {
    *("nfs", "nfs4", "cifs", "smbfs", "smb3", "afpfs", "lustre", "ceph", "beegfs", "gpfs", "davfs"),
    *("glusterfs", "fuse.glusterfs", "fuse.ceph", "fuse.sshfs", "fuse.s3fs", "fuse.rclone"),
}
KEEPALIVES = {"keepalives_idle": 10, "keepalives_interval": 5, "keepalives_count": 3}
"""Seconds and tries after which a peer that was cut off is known to be gone."""

OPTIONS = " ".join(
    f"-c {name}={value}"
    for name, value in {
        "statement_timeout": 15_000,
        "lock_timeout": 5_000,
        # A process that freezes inside a transaction must not keep its rows from all others.
        "idle_in_transaction_session_timeout": 10_000,
        **{f"tcp_{name}": value for name, value in KEEPALIVES.items()},
    }.items()
)
"""What the server is told, in milliseconds and as above."""

_WRITES = "tailora_writes"

_insistent = Retrying(
    retry=retry_if_exception_type(sqlite3.OperationalError),
    wait=wait_random(0.01, 0.1),
    stop=stop_after_delay(30.0),
    reraise=True,
)


class Database:
    """Reads and writes in transactions. Raises DatabaseUnavailable where it does not answer."""

    def __init__(self, url: str) -> None:
        """Connect to nothing yet. Raises SettingsError for SQLite on a network volume."""
        self.url = make_url(url)
        self.is_sqlite = self.url.get_backend_name() == "sqlite"
        self._writing = threading.local()
        self.engine: Engine = _sqlite(self.url.database) if self.is_sqlite else _postgres(url)
        self._glances = self.engine.execution_options(isolation_level="AUTOCOMMIT")

    @classmethod
    def of(cls, settings: Settings) -> "Database":
        """The database that the settings name."""
        return cls(settings.database)

    @contextmanager
    def read(self) -> Iterator[Connection]:
        """A transaction that writes nothing: inside one of this thread that writes, that one.

        A second connection might never come, where all are held by those who wait for this one.
        """
        mine: Connection | None = getattr(self._writing, "connection", None)
        if mine is not None:
            yield mine
            return
        with _available(), self.engine.connect() as connection, connection.begin():
            yield connection

    @contextmanager
    def glance(self) -> Iterator[Connection]:
        """For one SELECT: a transaction of its own, without the way to the server and back that its
        beginning and its end cost.
        """
        with _available(), self._glances.connect() as connection:
            yield connection

    @contextmanager
    def write(self) -> Iterator[Connection]:
        """A transaction that writes; on SQLite the only one at a time."""
        with _available(), self.engine.connect() as connection:
            connection = connection.execution_options(**{_WRITES: True})
            with connection.begin():
                self._writing.connection = connection
                try:
                    yield connection
                finally:
                    self._writing.connection = None

    def close(self) -> None:
        """Let go of all connections."""
        self.engine.dispose()


@contextmanager
def _available() -> Iterator[None]:
    try:
        yield
    except (OperationalError, InterfaceError, PoolTimeout) as error:
        raise DatabaseUnavailable(
            f"the database does not answer ({type(error.__cause__ or error).__name__}); try again"
        ) from error
    except DBAPIError as error:
        if not error.connection_invalidated:
            raise
        raise DatabaseUnavailable("the connection to the database broke; try again") from error


def _postgres(url: str) -> Engine:
    return create_engine(
        url,
        pool_size=16,
        max_overflow=0,  # those beyond would be opened and closed again and again
        pool_timeout=3.0,
        pool_pre_ping=True,
        connect_args={"connect_timeout": 3, **KEEPALIVES, "options": OPTIONS},
    )


def _sqlite(path: str | None) -> Engine:
    if not path or path == ":memory:":
        raise SettingsError("TAILORA_DATABASE_URL is wrong: SQLite needs a file")
    _refuse_network_volume(Path(path))
    engine = create_engine(
        f"sqlite:///{path}",
        connect_args={"timeout": 30.0, "isolation_level": None},
        pool_timeout=30.0,
    )

    @event.listens_for(engine, "connect")
    def _connected(connection: sqlite3.Connection, record: Any) -> None:
        # While another process changes the mode of a new file, SQLite refuses instead of waiting.
        _insistent(connection.execute, "PRAGMA journal_mode=WAL")
        for pragma in ("synchronous=FULL", "foreign_keys=ON"):
            connection.execute(f"PRAGMA {pragma}")

    @event.listens_for(engine, "begin")
    def _begun(connection: Connection) -> None:
        writes = connection.get_execution_options().get(_WRITES)
        connection.exec_driver_sql("BEGIN IMMEDIATE" if writes else "BEGIN")

    return engine


def _refuse_network_volume(path: Path) -> None:
    """Locks of SQLite do not hold there."""
    folder = path.resolve().parent
    mounts = {Path(disk.mountpoint): disk.fstype for disk in psutil.disk_partitions(all=True)}
    nearest = next((at for at in (folder, *folder.parents) if at in mounts), None)
    if nearest is not None and mounts[nearest] in NETWORK:
        raise SettingsError(
            f"{path} lies on a network volume ({mounts[nearest]}), where SQLite loses data; set "
            "TAILORA_DATA to a local disk, or TAILORA_DATABASE_URL to PostgreSQL"
        )
