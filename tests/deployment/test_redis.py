"""Redis as docker-compose.yml starts it, really started, and what its users may do."""

import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.deployment.compose import ROOT, Compose
from tests.servers.ports import free_port
from tests.servers.processes import Process
from tests.service.cli_service import process

COMPOSE = Compose.load()
MOUNT = "/run/secrets"


@pytest.fixture
def secrets(tmp_path):
    """What `make env` writes."""
    (tmp_path / ".env.example").write_text((ROOT / ".env.example").read_text())
    command = [sys.executable, str(ROOT / "scripts" / "make_env.py"), str(tmp_path)]
    subprocess.run(command, check=True, capture_output=True)
    return tmp_path / "secrets"


class Redis:
    """The service of the file, its secrets where a container would see them."""

    def __init__(self, folder, secrets):
        self.port, self.secrets = str(free_port()), secrets
        words = [word.replace(MOUNT, str(secrets)) for word in COMPOSE.command("redis")]
        own = ["--port", self.port, "--bind", "127.0.0.1", "--dir", str(folder)]
        self.process = Process(*words, *own, log=folder / "log", environment=dict(os.environ))
        (_, self._check) = COMPOSE.services["redis"]["healthcheck"]["test"]
        self.password = (secrets / "redis_password").read_text()
        self.url = f"redis://tailora:{self.password}@127.0.0.1:{self.port}/0"

    def healthy(self) -> bool:
        """What the health check says."""
        words = self._check.replace("$$", "$").replace(MOUNT, str(self.secrets))
        command = words.replace("redis-cli", f"redis-cli -p {self.port}")
        return subprocess.run(["sh", "-c", command], capture_output=True).returncode == 0

    def ask(self, *words: str, user: str | None = "tailora", password: str | None = None) -> str:
        known = {} if user is None else {"REDISCLI_AUTH": password or self.password}
        name = [] if user is None else ["--user", user]
        return subprocess.run(
            ["redis-cli", "-p", self.port, *name, *words],
            env={"PATH": os.environ["PATH"], **known},
            capture_output=True,
            text=True,
        ).stdout


@pytest.fixture
def redis(tmp_path, secrets):
    if not shutil.which("redis-server"):
        pytest.fail("install redis-server, which this test starts")
    (tmp_path / "data").mkdir()
    found = Redis(tmp_path / "data", secrets)
    with found.process:
        found.process.wait_for(found.healthy, 20)
        yield found


def test_nobody_gets_in_without_the_password(redis):
    assert "NOAUTH" in redis.ask("get", "x", user=None)
    assert "NOAUTH" in redis.ask("ping", user=None)
    for user, password in (("tailora", "another"), ("default", redis.password), ("me", "x")):
        assert "NOAUTH" in redis.ask("get", "x", user=user, password=password)
    assert redis.ask("get", "x") == "\n"


def test_its_user_may_do_no_harm(redis):
    for words in (
        ("config", "get", "*"), ("config", "set", "dir", "/"), ("flushall",), ("keys", "*"),
        ("acl", "list"), ("shutdown",), ("module", "list"),
        ("replicaof", "127.0.0.1", "1"), ("save",), ("monitor",),
        ("client", "kill", "type", "normal"),
    ):  # fmt: skip
        assert "NOPERM" in redis.ask(*words), words
    assert redis.healthy()


def test_the_password_is_no_argument(redis):
    words = Path(f"/proc/{redis.process.pid}/cmdline").read_bytes()
    assert redis.password.encode() not in words
    assert redis.password not in str(COMPOSE.services["redis"])


def test_redis_keeps_what_it_has_and_refuses_when_full(redis, tmp_path):
    said = redis.ask("info", "memory")
    assert f"maxmemory:{512 * 1024 * 1024}" in said
    assert "maxmemory_policy:noeviction" in said
    assert "aof_enabled:1" in redis.ask("info", "persistence")
    assert (tmp_path / "data" / "appendonlydir").is_dir()


def test_redis_itself_gets_the_stop_signal(redis):
    os.kill(redis.process.pid, signal.SIGTERM)
    assert redis.process.wait(10) == 0


def test_dispatcher_and_worker_need_no_more_than_their_user_may(redis, postgres_url, tmp_path):
    """Messages are sent and taken, and the health checks answer."""
    own = {"TAILORA_DATABASE_URL": postgres_url, "TAILORA_BROKER_URL": redis.url,
           "TAILORA_DATA": str(tmp_path / "own"), "TAILORA_ANALYZE_DEVICES": "cpu"}  # fmt: skip
    with process(tmp_path / "db", "db", "upgrade", **own) as upgrading:
        assert upgrading.wait(60) == 0
    with (
        process(tmp_path / "w", "worker", **own) as worker,
        process(tmp_path / "d", "dispatcher", **own) as dispatcher,
    ):
        worker.wait_for("worker_ready")
        time.sleep(2.0)
        for each in (worker, dispatcher):
            assert not [word for word in ("NOPERM", "[error", "Traceback") if word in each.text()]
        for name in ("worker", "dispatcher"):
            with process(tmp_path / f"check {name}", name, "--check", **own) as checking:
                assert checking.wait(60) == 0, checking.text()
    assert redis.ask("acl", "whoami") == "tailora\n"
