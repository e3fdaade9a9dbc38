"""Redis as docker-compose.yml starts it, really started."""

import os
import shutil
import signal
import socket
import subprocess
import time

import pytest

from tests.deployment.compose import Compose

COMPOSE = Compose.load()
PASSWORD = "0123456789abcdef"


@pytest.fixture
def redis(tmp_path):
    """Redis as docker-compose.yml starts it, on a free port."""
    if not shutil.which("redis-server"):
        pytest.fail("install redis-server, which this test starts")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = str(free.getsockname()[1])
    environment = {
        "PATH": os.environ["PATH"],
        **COMPOSE.environment("redis", {"REDIS_PASSWORD": PASSWORD}),
    }
    options = ["--port", port, "--bind", "127.0.0.1", "--dir", str(tmp_path)]
    log = (tmp_path / "log").open("w")
    process = subprocess.Popen(
        [*COMPOSE.command("redis"), *options], env=environment, stdout=log, stderr=log
    )

    def ask(*words: str, password: str | None = PASSWORD):
        known = {} if password is None else {"REDISCLI_AUTH": password}
        return subprocess.run(
            ["redis-cli", "-p", port, *words],
            env={"PATH": os.environ["PATH"], **known},
            capture_output=True,
            text=True,
        )

    health = COMPOSE.services["redis"]["healthcheck"]["test"]
    assert health[:2] == ["CMD", "redis-cli"]
    try:
        until = time.monotonic() + 20
        while ask(*health[2:]).returncode != 0:
            assert process.poll() is None, (tmp_path / "log").read_text()
            assert time.monotonic() < until
            time.sleep(0.05)
        yield process, ask, health[2:]
    finally:
        process.kill()
        process.wait()
        log.close()


def test_redis_asks_for_its_password(redis):
    _, ask, health = redis
    for password in (None, "another"):
        assert "NOAUTH" in ask("get", "x", password=password).stdout
        assert ask(*health, password=password).returncode != 0
    assert ask("get", "x").stdout == "\n"


def test_the_password_is_no_argument(tmp_path):
    stand_in = tmp_path / "redis-server"
    stand_in.write_text('#!/bin/sh\nprintf "%s\\n" "$@" >arguments; cat >configuration\n')
    stand_in.chmod(0o755)
    environment = {
        **COMPOSE.environment("redis", {"REDIS_PASSWORD": PASSWORD}),
        "PATH": f"{tmp_path}:{os.environ['PATH']}",
    }
    subprocess.run(COMPOSE.command("redis"), env=environment, cwd=tmp_path, check=True)
    assert PASSWORD not in (tmp_path / "arguments").read_text()
    assert (tmp_path / "configuration").read_text() == f'requirepass "{PASSWORD}"\n'


def test_redis_keeps_what_it_has_and_refuses_when_full(redis, tmp_path):
    _, ask, _ = redis
    wanted = {
        "appendonly": "yes",
        "appendfsync": "everysec",
        "save": "",
        "maxmemory": str(512 * 1024 * 1024),
        "maxmemory-policy": "noeviction",
    }
    for name, value in wanted.items():
        assert ask("config", "get", name).stdout.split("\n")[1] == value
    assert (tmp_path / "appendonlydir").is_dir()


def test_redis_itself_gets_the_stop_signal(redis):
    process, _, _ = redis
    process.send_signal(signal.SIGTERM)
    assert process.wait(10) == 0
