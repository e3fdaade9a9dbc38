"""A ledger on each database: fresh, empty, and with the tables of this version."""

import shutil
from concurrent.futures import ThreadPoolExecutor

import pytest

from ledger.access import Ledger
from ledger.database import Database
from ledger.migrate import upgrade
from ledger.settings import load_settings
from ledger.tables import metadata


@pytest.fixture(params=["sqlite", "postgres"])
def backend(request) -> str:
    return request.param


@pytest.fixture(scope="session")
def sqlite_tables(tmp_path_factory):
    """A file with empty tables, to copy."""
    file = tmp_path_factory.mktemp("sqlite") / "tailora.db"
    database = Database(f"sqlite:///{file}")
    upgrade(database)
    with database.engine.connect() as connection:
        connection.exec_driver_sql("PRAGMA wal_checkpoint(TRUNCATE)")
    database.close()
    return file


@pytest.fixture(scope="module")
def awake(cluster):
    """The cluster, which tests of another module may have stopped."""
    cluster.resume()
    cluster.start()


@pytest.fixture(scope="session")
def postgres_tables(cluster):
    """The address of a database with tables, which each test empties first."""
    url = cluster.create("ledger")
    with cluster.connect() as connection:  # no test here crashes it, and hundreds wait for it
        connection.execute("ALTER DATABASE ledger SET synchronous_commit = off")
    database = Database(url)
    upgrade(database)
    database.close()
    return url


@pytest.fixture
def url(backend, request, tmp_path) -> str:
    """The address of a database with tables, empty once a ledger was made."""
    if backend == "sqlite":
        file = tmp_path / "data" / "tailora.db"
        file.parent.mkdir()
        shutil.copy(request.getfixturevalue("sqlite_tables"), file)
        return f"sqlite:///{file}"
    request.getfixturevalue("awake")
    return request.getfixturevalue("postgres_tables")


def empty(database: Database) -> None:
    names = [table.name for table in reversed(metadata.sorted_tables)]
    with database.write() as connection:
        connection.exec_driver_sql("; ".join(f"DELETE FROM {name}" for name in names))


@pytest.fixture
def make_ledger(backend, url, tmp_path):
    """Ledgers over the one database, as several processes hold them."""
    made = []

    def make(**settings) -> Ledger:
        given = {"data": tmp_path / "data", "database_url": url, **settings}
        made.append(Ledger(load_settings(**given)))
        if len(made) == 1 and backend == "postgres":
            empty(made[0].database)
        return made[-1]

    yield make
    for ledger in made:
        ledger.database.close()


@pytest.fixture
def ledger(make_ledger) -> Ledger:
    return make_ledger()


@pytest.fixture
def database(ledger) -> Database:
    return ledger.database


@pytest.fixture
def meanwhile():
    """Starts a call in a thread, which may have to wait for the transaction of the test."""
    with ThreadPoolExecutor(16) as pool:
        yield pool.submit
