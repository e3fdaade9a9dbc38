"""Servers for tests: a plugin of tests/conftest.py. Who imports them starts a cluster more."""

import signal

import pytest

from tests.servers.postgres import Postgres
from tests.servers.redis import Redis

# As Ctrl-C does, so that a run that is told to end leaves no server behind.
signal.signal(signal.SIGTERM, signal.default_int_handler)


@pytest.fixture(scope="session")
def cluster():
    """The PostgreSQL of this session, which tests may have stopped."""
    with Postgres() as postgres:
        yield postgres


@pytest.fixture
def postgres(cluster):
    """A PostgreSQL that runs, whatever the test before left."""
    cluster.resume()
    cluster.start()
    return cluster


@pytest.fixture
def postgres_url(postgres):
    """The address of a fresh database."""
    yield postgres.create("test")
    postgres.resume()
    postgres.start()
    postgres.drop("test")


@pytest.fixture
def redis():
    """A Redis of its own, that keeps nothing over its end."""
    with Redis() as server:
        yield server
