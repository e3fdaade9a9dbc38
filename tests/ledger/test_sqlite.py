"""SQLite: durable, one writer at a time, on a disk of this machine."""

import os
import sqlite3
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import psutil
import pytest
from sqlalchemy import event, text

from ledger.database import Database
from ledger.errors import DatabaseUnavailable, SettingsError
from tests.ledger.make import waits


@pytest.fixture
def file(tmp_path) -> Path:
    return tmp_path / "tailora.db"


@pytest.fixture
def sqlite(file):
    database = Database(f"sqlite:///{file}")
    yield database
    database.close()


def test_sqlite_is_as_durable_as_the_design_says(sqlite):
    with sqlite.read() as connection:
        found = [
            connection.scalar(text(f"PRAGMA {name}"))
            for name in ("journal_mode", "synchronous", "foreign_keys", "busy_timeout")
        ]
    assert found == ["wal", 2, 1, 30_000]


def test_sqlite_reads_while_another_writes_and_a_writer_waits(sqlite, file, meanwhile):
    with sqlite.write() as connection:
        connection.execute(text("CREATE TABLE t (a)"))
    with sqlite3.connect(file, isolation_level=None) as other:
        other.execute("BEGIN IMMEDIATE")
        other.execute("INSERT INTO t VALUES (1)")

        def rows():
            with sqlite.read() as connection:
                return connection.scalar(text("SELECT count(*) FROM t"))

        def write():
            with sqlite.write() as connection:
                connection.execute(text("INSERT INTO t VALUES (2)"))

        assert meanwhile(rows).result(5) == 0
        waiting = meanwhile(write)
        assert waits(waiting, 1.0)
        other.execute("COMMIT")
    waiting.result(10)
    assert rows() == 2
    other.close()


def test_sqlite_that_is_locked_for_long_is_unavailable(sqlite, file):
    begun = []

    def shorter(connection, record):
        connection.execute("PRAGMA busy_timeout = 200")
        begun.append(1)

    event.listen(sqlite.engine, "connect", shorter)
    other = sqlite3.connect(file, isolation_level=None)
    other.execute("PRAGMA journal_mode=WAL")
    other.execute("BEGIN IMMEDIATE")
    with pytest.raises(DatabaseUnavailable, match="try again"), sqlite.write():
        pass
    other.execute("ROLLBACK")
    other.close()
    with sqlite.write():
        pass
    assert begun


def test_a_writer_knows_at_once_that_it_will_write(sqlite, file):
    """Not at its first change, when it could only give up."""
    with sqlite.write():
        other = sqlite3.connect(file, timeout=0.1, isolation_level=None)
        with pytest.raises(sqlite3.OperationalError, match="locked"):
            other.execute("BEGIN IMMEDIATE")
        other.close()
    with sqlite.read():
        other = sqlite3.connect(file, timeout=0.1, isolation_level=None)
        other.execute("BEGIN IMMEDIATE")
        other.close()


def test_what_was_committed_outlasts_the_process(file):
    code = (
        "import os, sys; from sqlalchemy import text; from ledger.database import Database\n"
        "database = Database('sqlite:///' + sys.argv[1])\n"
        "with database.write() as c: c.execute(text('CREATE TABLE t AS SELECT 1 AS a'))\n"
        "with database.write() as c:\n"
        "    c.execute(text('INSERT INTO t VALUES (2)')); os.kill(os.getpid(), 9)\n"
    )
    root = Path(__file__).parents[2]
    killed = subprocess.run([sys.executable, "-c", code, file], cwd=root, timeout=60)
    assert killed.returncode == -9
    other = sqlite3.connect(file)
    assert other.execute("SELECT a FROM t").fetchall() == [(1,)]
    other.close()


@pytest.mark.parametrize(
    ("kind", "refused"),
    [
        ("ext4", False), ("overlay", False), ("tmpfs", False), ("btrfs", False), ("apfs", False),
        ("nfs", True), ("nfs4", True), ("cifs", True), ("smb3", True), ("smbfs", True),
        ("afpfs", True), ("fuse.sshfs", True), ("lustre", True), ("fuse.glusterfs", True),
        ("ceph", True), ("beegfs", True), ("gpfs", True),
    ],
)  # fmt: skip
def test_sqlite_is_refused_on_a_network_volume(monkeypatch, tmp_path, kind, refused):
    home = tmp_path / "mnt" / "home"
    home.mkdir(parents=True)
    (tmp_path / "link").symlink_to(home)
    mounts = {"/": "ext4", str(home): kind, f"{home}/a": "ext4", f"{tmp_path}/mnt/ho": "nfs"}
    disks = [SimpleNamespace(mountpoint=at, fstype=what) for at, what in mounts.items()]
    monkeypatch.setattr(psutil, "disk_partitions", lambda all: disks if all else disks[:1])
    for path in (home / "t.db", home / "new" / "t.db", tmp_path / "link" / "t.db"):
        if refused:
            with pytest.raises(SettingsError, match=rf"{kind}.*TAILORA_DATA.*TAILORA_DATABASE_URL"):
                Database(f"sqlite:///{path}")
        else:
            Database(f"sqlite:///{path}").close()
    for path in (home / "a" / "t.db", tmp_path / "t.db", tmp_path / "mnt" / "homes" / "t.db"):
        Database(f"sqlite:///{path}").close()
    monkeypatch.chdir(home)
    if refused:
        with pytest.raises(SettingsError):
            Database("sqlite:///t.db")
    os.chdir("/")
