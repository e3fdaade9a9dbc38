"""`tailora doctor` finds what is wrong, says what to do, and hides what is secret."""

import json
import re
import shutil
import sqlite3
import sys
from contextlib import closing

import pytest

from tests.hub.server import HubDouble
from tests.service.cli_service import serving
from tests.service.command import run

SECRET = "secret0123456789"
NO_DATABASE = f"postgresql+psycopg://me:{SECRET}@127.0.0.1:1/none"


NO_TORCH = "import sys; sys.modules['torch'] = None"
"""As where it is not installed, which is quicker to look at."""


def checked(code: int = 0, before: str = NO_TORCH, **environment) -> dict[str, dict]:
    found = json.loads(run("doctor", "--json", code=code, before=before, **environment).stdout)
    assert found["ok"] is (code == 0)
    return {check["name"]: check for check in found["checks"]}


def statuses(checks: dict[str, dict]) -> dict[str, str]:
    return {name: check["status"] for name, check in checks.items()}


@pytest.fixture
def here(tmp_path) -> dict[str, str]:
    return {"TAILORA_DATA": str(tmp_path / "data")}


def test_a_fresh_machine_is_in_order(here, own_cache):
    found = checked(before="", **here)
    assert statuses(found) == {
        "python": "ok", "torch": "ok", "devices": "ok", "store": "ok", "hub": "warn", "data": "ok",
        "database": "warn", "broker": "ok",
    }  # fmt: skip
    assert found["python"]["detail"].startswith(".".join(map(str, sys.version_info[:3])))
    assert str(own_cache) in found["store"]["detail"]
    free = f"{shutil.disk_usage(own_cache).free / 1e9:.0f}"
    assert abs(float(found["store"]["detail"].split()[-3]) - float(free)) <= 2
    assert "tailora serve" in found["database"]["advice"]
    assert not (own_cache.parent / "data").exists()


def test_without_torch_it_is_a_warning(here):
    found = checked(**here)
    assert found["torch"]["status"] == "warn"
    assert "pip install 'tailora[analyze]'" in found["torch"]["advice"]
    assert "devices" not in found


def test_a_running_service_is_found(tmp_path):
    with serving(tmp_path) as running:
        found = checked(**running.local, **running.remote)
        assert statuses(found)["workers"] == statuses(found)["service"] == "ok"
        assert re.match(
            "[12]: ", found["workers"]["detail"]
        )  # one for each queue, when it is ready
    found = checked(code=1, **running.local, **running.remote)
    assert statuses(found)["service"] == "fail"
    assert "check TAILORA_URL" in found["service"]["advice"]


def test_secrets_are_hidden(here):
    own = {
        **here,
        "TAILORA_DATABASE_URL": NO_DATABASE,
        "TAILORA_BROKER_URL": f"redis://:{SECRET}@127.0.0.1:1/0",
        "TAILORA_KEY_PEPPER": SECRET,
        "TAILORA_API_KEY": f"tlr_{SECRET}",
        "HF_TOKEN": f"hf_{SECRET}",
    }
    printed = [run("doctor", *words, code=1, before=NO_TORCH, **own) for words in ((), ("--json",))]
    assert not [found for found in printed if SECRET in found.stdout + found.stderr]
    lines = printed[0].stdout.splitlines()
    assert [line.split()[:2] for line in lines if line.startswith("fail")] == [
        ["fail", "database"], ["fail", "broker"]
    ]  # fmt: skip
    assert "  TAILORA_KEY_PEPPER=**********" in lines
    assert f"  TAILORA_DATA={here['TAILORA_DATA']}" in lines


def test_what_is_wrong_fails(here, tmp_path):
    found = checked(code=1, **here, TAILORA_PORT="x")
    assert found["settings"]["detail"].startswith("TAILORA_PORT is wrong")
    (tmp_path / "file").write_text("")
    found = checked(code=1, TAILORA_DATA=tmp_path / "file/data", TAILORA_CACHE=tmp_path / "file")
    assert (statuses(found)["data"], statuses(found)["store"]) == ("fail", "fail")
    assert "TAILORA_DATA" in found["data"]["advice"]


def test_a_version_of_the_database_fails(here, tmp_path):
    run("db", "upgrade", **here)
    assert statuses(checked(**here))["workers"] == "warn"
    with closing(sqlite3.connect(tmp_path / "data/tailora.db")) as database, database:
        database.execute("UPDATE alembic_version SET version_num = '0000'")
    found = checked(code=1, **here)
    assert found["database"]["status"] == "fail"
    assert "tailora db upgrade" in found["database"]["advice"]


def test_the_hub_is_asked(here, tmp_path):
    with HubDouble() as hub:
        own = {**here, **hub.environment(tmp_path / "hf")}
        assert statuses(checked(**own))["hub"] == "ok"
        gone = {**own, "HF_ENDPOINT": "http://me:secret0@127.0.0.1:1"}
        found = checked(**gone)
    assert found["hub"]["status"] == "warn"
    assert "secret0" not in json.dumps(found)
