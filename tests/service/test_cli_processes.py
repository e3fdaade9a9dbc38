"""The processes of the service one by one: settings, versions, health checks, orderly ends."""

import json
import platform
import shutil
import signal
import sqlite3
import time
from contextlib import closing

import pytest

from tests.servers.redis import Redis
from tests.service.cli_service import process, serving
from tests.service.command import document, fails, run

NO_DATABASE = {"TAILORA_DATABASE_URL": "postgresql+psycopg://me:secret0@127.0.0.1:1/none"}
STARTS = [("serve",), ("api",), ("worker",), ("dispatcher",), ("db", "upgrade"), ("db", "check"),
          ("keys", "list"), ("jobs", "list")]  # fmt: skip
SERVER_EXTRA = ("alembic", "celery", "fastapi", "kombu", "psutil", "psycopg", "pydantic_settings",
                "redis", "sqlalchemy", "starlette", "structlog", "tenacity", "uvicorn")  # fmt: skip
WITHOUT = f"import sys; sys.modules.update(dict.fromkeys({SERVER_EXTRA}))"


@pytest.mark.parametrize("words", STARTS)
def test_a_wrong_setting_stops_the_start_with_its_name(words, tmp_path):
    for name, value in (("TAILORA_PORT", "many"), ("TAILORA_TYPO", "1"), ("TAILORA_LEASE", "30")):
        line = fails(*words, code=2, message=name, TAILORA_DATA=tmp_path / "data", **{name: value})
        assert line.startswith(f"error: {name} ")
    assert not (tmp_path / "data").exists()


def test_options_of_serve_are_settings_too(tmp_path):
    for option, value, name in (("--port", 70_000, "TAILORA_PORT"),
                                ("--models", tmp_path / "none", "TAILORA_MODELS")):  # fmt: skip
        fails("serve", "--data", tmp_path, option, value, code=2, message=f"{name} is wrong")


@pytest.mark.parametrize("words", STARTS[1:4] + STARTS[5:])
def test_a_database_of_another_version_stops_the_start(words, tmp_path):
    message = "run `tailora db upgrade`"
    fails(*words, code=2, message=message, TAILORA_DATA=tmp_path)


@pytest.mark.parametrize("words", STARTS)
def test_a_database_that_is_away(words, tmp_path):
    found = run(*words, code=3, TAILORA_DATA=tmp_path, **NO_DATABASE)
    assert found.stderr.splitlines()[-1].startswith("error: the database does not answer")
    assert "secret0" not in found.stderr + found.stdout


def test_the_database_is_made_once(tmp_path):
    here = {"TAILORA_DATA": tmp_path / "new"}
    assert "from version none to 0004" in run("db", "upgrade", **here).stdout
    assert "at version 0004 already" in run("db", "upgrade", **here).stdout
    assert "at version 0004" in run("db", "check", **here).stdout


def test_the_parts_alone_make_a_plan_and_end_in_order(minilm, tmp_path):
    """api, dispatcher and worker as three processes; the plan is the command's own."""
    here = {"TAILORA_DATA": str(tmp_path / "data"), "TAILORA_MODELS": str(minilm)}
    run("db", "upgrade", **here)
    parts = [process(tmp_path, name, **here) for name in ("dispatcher", "worker")]
    fails("worker", "--check", code=1, message="no worker of", **here)
    with parts[0], parts[1], serving(tmp_path, command="api", ready="listening", **here) as api:
        parts[1].wait_for("worker_ready")
        assert "cpu" in run("worker", "--check", **here).stdout
        assert "the database answers" in run("dispatcher", "--check", **here).stdout
        made = document("plan", minilm, "-b", 30, **api.remote)
        assert made["digest"] == document("plan", minilm, "-b", 30)["digest"]
        signals = (signal.SIGTERM, signal.SIGINT, signal.SIGTERM)
        for part, number in zip((*parts, api.process), signals, strict=True):
            assert part.terminate(number) == 0, part.tail()
            assert "Traceback" not in part.text()
        assert parts[1].text().count("worker_left") == 1
        fails("worker", "--check", code=1, message="no worker of", **here)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_serve_ends_in_order(tmp_path, number):
    with serving(tmp_path) as found:
        assert len(found.process.children("-m worker")) >= 1
        assert found.process.terminate(number) == 0
        assert "worker_left" in found.process.text()
        assert found.process.children() == []


def test_checks_say_what_is_away(tmp_path):
    here = {"TAILORA_DATA": tmp_path}
    for name in ("worker", "dispatcher"):
        fails(name, "--check", code=1, message="the database does not answer", **NO_DATABASE)
        fails(name, "--check", code=1, message="run `tailora db upgrade`", **here)
    run("db", "upgrade", **here)
    if shutil.which("redis-server") is None:
        pytest.fail("install redis-server, which this test starts")
    with Redis() as redis:
        broker = {"TAILORA_BROKER_URL": redis.url}
        assert "Redis answers" in run("dispatcher", "--check", **here, **broker).stdout
        locked = {"TAILORA_BROKER_URL": redis.url.replace("password", "passport")}
        line = fails(
            "dispatcher", "--check", code=1, message="TAILORA_BROKER_URL", **here, **locked
        )
        assert "passport" not in line
        redis.process.pause()
        fails(
            "dispatcher", "--check", code=1, message="the broker does not answer", **here, **broker
        )
        redis.process.resume()


def test_a_worker_of_another_host_is_none_of_ours(tmp_path):
    run("db", "upgrade", TAILORA_DATA=tmp_path)
    for host, code in (("another", 1), (platform.node(), 0)):
        with closing(sqlite3.connect(tmp_path / "tailora.db")) as database, database:
            database.execute(
                "INSERT INTO workers VALUES (?, ?, 'analyze', 'cpu', 1, '1', ?, ?)",
                (f"wrk_{code}", host, time.time(), time.time()),
            )
        run("worker", "--check", code=code, TAILORA_DATA=tmp_path)


def test_without_the_server_extra(minilm, tmp_path):
    for words in STARTS:
        fails(*words, code=2, message="pip install 'tailora[server]'", before=WITHOUT,
              TAILORA_DATA=tmp_path)  # fmt: skip
    words = ("plan", minilm, "-b", 30, "-q")
    assert run(*words, before=WITHOUT).stdout == run(*words).stdout
    run("--help", before=WITHOUT)
    found = json.loads(run("doctor", "--json", before=WITHOUT).stdout)
    assert {"server": "warn"}.items() <= {c["name"]: c["status"] for c in found["checks"]}.items()
