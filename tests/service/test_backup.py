"""Backup and restore as docs/service.md has them: what was solved is there again."""

import os
import shutil
import sqlite3
import subprocess

import pytest

from tests.servers.postgres import PASSWORD, USER
from tests.service.api.conftest import *  # noqa: F403 - the API's fixtures
from tests.service.api.conftest import BUDGET
from tests.worker.pump import all_units


def check_restored(before, restored, envelope):
    """The same plan, and another budget without a unit of work."""
    assert not before.ledger.settings.data.samefile(restored.ledger.settings.data)
    answer = restored.http.get(envelope["links"]["self"])
    assert answer.status_code == 200
    assert answer.json()["plan"] == envelope["plan"]
    units = len(all_units(restored.ledger))
    assert units
    again = restored.plan(expert_budget=BUDGET + 3)
    assert again.status_code == 201, again.text
    assert len(all_units(restored.ledger)) == units


def copy_artifacts(before, folder):
    """Large documents lie in files; the spectra of this model are kept in the database."""
    kept = before.ledger.settings.data / "artifacts"
    if kept.exists():
        shutil.copytree(kept, folder / "artifacts")


def test_sqlite(make_api, tmp_path):
    before = make_api()
    envelope = before.done()
    folder = tmp_path / "restored"
    folder.mkdir()
    source = sqlite3.connect(before.ledger.settings.data / "tailora.db")
    with sqlite3.connect(folder / "tailora.db") as target:
        source.backup(target)  # what `sqlite3 … ".backup"` does, while the service has it open
    source.close()
    target.close()
    copy_artifacts(before, folder)
    check_restored(before, make_api(data=folder), envelope)


@pytest.fixture
def other(postgres):
    """An empty database beside that of the test."""
    yield postgres.create("restored")
    postgres.drop("restored")


def test_postgresql(make_api, postgres, postgres_url, other, tmp_path):
    before = make_api(database_url=postgres_url)
    envelope = before.done()
    folder = tmp_path / "restored"
    folder.mkdir()
    where = ["--host=127.0.0.1", f"--port={postgres.port}", f"--username={USER}"]
    dump = str(tmp_path / "tailora.dump")
    run("pg_dump", *where, "--format=custom", f"--file={dump}", "test")
    run("pg_restore", *where, "--clean", "--if-exists", "--dbname=restored", dump)
    copy_artifacts(before, folder)
    check_restored(before, make_api(data=folder, database_url=other), envelope)


def run(*command):
    environment = {**os.environ, "PGPASSWORD": PASSWORD}
    ended = subprocess.run(command, env=environment, capture_output=True, text=True)
    assert ended.returncode == 0, ended.stderr
