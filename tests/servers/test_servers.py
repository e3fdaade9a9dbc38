"""PostgreSQL, Redis and the way to them fail as they are told to, and come back."""

import threading
import time

import psutil
import psycopg
import pytest
import redis as redis_client
from sqlalchemy import create_engine, text

from tests.servers import postgres as postgres_module
from tests.servers.postgres import Postgres
from tests.servers.proxy import Proxy
from tests.servers.redis import Redis

CRASHED = "database system was not properly shut down"


@pytest.mark.parametrize("immediate", [True, False])
def test_postgres_keeps_what_it_confirmed(postgres, postgres_url, immediate):
    crashes = postgres.process.text().count(CRASHED)
    engine = create_engine(postgres_url)
    with engine.begin() as connection:
        connection.execute(text("CREATE TABLE t AS SELECT 1 AS a"))
    with engine.connect() as open_one:
        open_one.execute(text("INSERT INTO t VALUES (2)"))
        postgres.stop(immediate)
        assert not postgres.process.running
        assert not postgres.process.children()
        with pytest.raises(psycopg.OperationalError):
            postgres.connect()
        open_one.invalidate()
    postgres.start()
    with engine.connect() as connection:
        assert connection.execute(text("SELECT a FROM t")).scalars().all() == [1]
    engine.dispose()
    assert postgres.process.text().count(CRASHED) == crashes + immediate


def test_postgres_syncs_as_in_production(postgres):
    with postgres.connect() as connection:
        for setting in ("fsync", "synchronous_commit", "full_page_writes"):
            assert connection.execute(f"SHOW {setting}").fetchone() == ("on",)


def test_a_created_database_is_empty_whoever_is_connected(postgres, postgres_url):
    with postgres.connect("test") as connection:
        connection.execute("CREATE TABLE t (a int)")
        assert postgres.create("test") == postgres_url
        with pytest.raises(psycopg.OperationalError):
            connection.execute("SELECT * FROM t")
    with postgres.connect("test") as connection:
        assert connection.execute("SELECT to_regclass('t')").fetchone() == (None,)


def test_a_paused_postgres_answers_when_resumed(postgres):
    with postgres.connect() as connection:
        postgres.pause()
        answers = []
        thread = threading.Thread(target=lambda: answers.append(connection.execute("SELECT 1")))
        thread.start()
        thread.join(0.3)
        assert thread.is_alive()
        assert len(postgres.process.children()) > 4
        for pid in postgres.process.children():
            assert psutil.Process(pid).status() == psutil.STATUS_STOPPED
        postgres.resume()
        thread.join(10)
        assert len(answers) == 1


def test_a_closed_postgres_leaves_nothing():
    with Postgres() as postgres:
        postgres.pause()
        processes = [postgres.process.pid, *postgres.process.children()]
    assert not any(map(psutil.pid_exists, processes))
    assert not postgres.folder.exists()


def test_what_is_missing_is_named(monkeypatch):
    monkeypatch.setattr("shutil.which", lambda name: None)
    monkeypatch.setattr(postgres_module.Path, "glob", lambda *_: iter(()))
    with pytest.raises(pytest.fail.Exception, match="apt-get install postgresql"):
        Postgres()
    with pytest.raises(pytest.fail.Exception, match="apt-get install redis-server"):
        Redis()


@pytest.mark.parametrize("append_only", [True, False])
def test_redis_keeps_only_with_a_log_what_it_confirmed(append_only):
    with Redis(append_only=append_only) as server:
        with server.client() as client:
            client.rpush("queue", "a")
            server.kill()
            with pytest.raises(redis_client.ConnectionError):
                client.llen("queue")
        server.start()
        with server.client() as client:
            assert client.llen("queue") == append_only


def test_redis_wants_its_password_and_can_be_emptied(redis):
    with (
        redis_client.Redis(port=redis.port, retry=None) as stranger,
        pytest.raises(redis_client.AuthenticationError),
    ):
        stranger.ping()
    with redis.client() as client:
        client.set("a", 1)
        redis.flush()
        assert client.dbsize() == 0
    redis.stop()
    assert redis.process.returncode == 0


@pytest.fixture
def through(redis):
    """A proxy before Redis, and a client that waits for a short time."""
    with Proxy(redis.port) as proxy, _client(proxy.url(redis.url)) as client:
        client.ping()
        yield proxy, client


def _client(url):
    return redis_client.Redis.from_url(url, socket_timeout=0.3, retry=None)


def test_a_silent_proxy_hangs_old_and_new_connections(redis, through):
    proxy, client = through
    proxy.switch("silent")
    begin = time.monotonic()
    with pytest.raises(redis_client.TimeoutError):
        client.set("sent", 1)
    assert time.monotonic() - begin >= 0.3
    with _client(proxy.url(redis.url)) as other, pytest.raises(redis_client.TimeoutError):
        other.ping()
    with redis.client() as direct:
        assert direct.get("sent") is None
        proxy.switch("pass")
        assert client.ping()
        end = time.monotonic() + 5
        while direct.get("sent") is None:
            assert time.monotonic() < end, "what was sent in the silence did not arrive late"


def test_a_refusing_proxy_ends_old_and_takes_no_new_connections(redis, through):
    proxy, client = through
    for before in ("pass", "silent"):
        with _client(proxy.url(redis.url)) as old:
            connection = old.connection_pool.get_connection()
            proxy.switch(before)
            proxy.switch("refuse")
            with pytest.raises(redis_client.ConnectionError, match="closed"):
                connection.read_response()
            with pytest.raises(redis_client.ConnectionError, match="refused"):
                old.ping()
        proxy.switch("pass")
        assert client.ping()
