"""One history of the tables, for both databases."""

import subprocess
import sys
from pathlib import Path

import pytest
from alembic import command
from alembic.autogenerate import compare_metadata
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from sqlalchemy import inspect, text

from ledger.database import Database
from ledger.errors import WrongVersion
from ledger.migrate import FOLDER, check, current, head, upgrade
from ledger.tables import metadata
from tests.ledger.make import at_once

ROOT = Path(__file__).parents[2]


@pytest.fixture
def url(backend, request, tmp_path) -> str:
    """The address of a database without tables; SQLite's folder is not even there."""
    if backend == "sqlite":
        return f"sqlite:///{tmp_path}/new/folder/tailora.db"
    return request.getfixturevalue("postgres_url")


@pytest.fixture
def database(url):
    database = Database(url)
    yield database
    database.close()


def tables(database):
    with database.read() as connection:
        return set(inspect(connection).get_table_names())


def test_an_empty_database_becomes_that_of_the_code(database):
    assert current(database) is None
    assert upgrade(database) == (None, head())
    assert current(database) == head()
    check(database)
    assert tables(database) == {*metadata.tables, "alembic_version"}
    with database.read() as connection:
        context = MigrationContext.configure(connection, opts={"compare_type": True})
        assert compare_metadata(context, metadata) == []


def test_the_tables_are_those_that_the_code_would_make(database):
    """Keys, defaults and what is deleted along: what compare_metadata does not look at."""

    def looks(connection):
        found = inspect(connection)
        return {
            name: (
                [
                    (column["name"], str(column["type"]), column["nullable"], column["default"])
                    for column in found.get_columns(name)
                ],
                found.get_pk_constraint(name),
                sorted(found.get_foreign_keys(name), key=str),
                sorted(found.get_unique_constraints(name), key=str),
                sorted(found.get_indexes(name), key=str),
            )
            for name in metadata.tables
        }

    upgrade(database)
    with database.read() as connection:
        migrated = looks(connection)
    with database.write() as connection:
        metadata.drop_all(connection)
        metadata.create_all(connection)
    with database.read() as connection:
        assert looks(connection) == migrated


def migrate(database, how, revision):
    if database.is_sqlite:
        Path(database.url.database).parent.mkdir(parents=True, exist_ok=True)
    with database.write() as connection:
        config = Config()
        config.set_main_option("script_location", str(FOLDER))
        config.attributes["connection"] = connection
        how(config, revision)


def test_what_the_first_version_kept_is_still_there(database):
    """SQLite changes a table by a copy where one lets it, and drops what refers to the old one."""
    migrate(database, command.upgrade, "0001")
    with database.write() as connection:
        for statement in (
            "INSERT INTO jobs (id, kind, owner, state, request, labels, model, created_at)"
            " VALUES ('pln_1', 'plan', 'ann', 'failed', '{}', '{}', 'org/model', 1)",
            "INSERT INTO events (job_id, seq, time, level, type, message)"
            " VALUES ('pln_1', 1, 1, 'info', 'queued', 'it was accepted')",
            "INSERT INTO api_keys (id, name, owner, hash, created_at)"
            " VALUES ('key_1', 'laptop', 'ann', 'h', 1)",
        ):
            connection.execute(text(statement))
    upgrade(database)
    check(database)
    with database.read() as connection:
        assert connection.scalar(text("SELECT count(*) FROM events")) == 1
        assert connection.execute(text("SELECT restricted FROM jobs")).all() == [(False,)]
        assert connection.execute(text("SELECT scopes FROM api_keys")).all() == [("write",)]


def test_an_upgrade_again_does_nothing(database):
    upgrade(database)
    assert upgrade(database) == (head(), head())
    check(database)


def test_programs_may_upgrade_at_once(url, database):
    databases = [Database(url) for _ in range(4)]
    try:
        found = at_once(*[lambda each=each: upgrade(each) for each in databases])
    finally:
        for each in databases:
            each.close()
    assert {after for _, after in found} == {head()}
    check(database)
    assert tables(database) == {*metadata.tables, "alembic_version"}


def test_processes_may_upgrade_at_once(url, database):
    code = (
        "import sys; from ledger.database import Database; from ledger.migrate import upgrade\n"
        "print(upgrade(Database(sys.argv[1])))"
    )
    begun = [
        subprocess.Popen(
            [sys.executable, "-c", code, url], cwd=ROOT,
            stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        )
        for _ in range(2)
    ]  # fmt: skip
    ended = [process.communicate(timeout=60) for process in begun]
    assert [process.returncode for process in begun] == [0, 0], ended
    check(database)


def test_a_database_of_no_or_another_version_is_refused(database):
    with pytest.raises(WrongVersion, match=f"version none.*needs {head()}.*tailora db upgrade"):
        check(database)
    upgrade(database)
    with database.write() as connection:
        connection.execute(text("DELETE FROM alembic_version"))
    with pytest.raises(WrongVersion, match="tailora db upgrade"):
        check(database)


def test_a_newer_database_is_left_alone(database):
    upgrade(database)
    with database.write() as connection:
        connection.execute(text("UPDATE alembic_version SET version_num = '9999'"))
    for call in (check, upgrade):
        with pytest.raises(WrongVersion, match=r"9999, which is newer.*install the version"):
            call(database)
    assert current(database) == "9999"


def test_the_way_back_leaves_nothing(database):
    upgrade(database)
    migrate(database, command.downgrade, "base")
    assert tables(database) == {"alembic_version"}
    assert current(database) is None
    assert upgrade(database) == (None, head())
    check(database)


def test_an_upgrade_that_fails_changes_nothing(database, monkeypatch):
    from alembic.operations import Operations

    real, made = Operations.create_table, []

    def fifth_fails(self, name, *columns, **named):
        made.append(name)
        if len(made) == 5:
            raise RuntimeError("killed")
        return real(self, name, *columns, **named)

    monkeypatch.setattr("alembic.op.create_table", lambda *a, **k: fifth_fails(proxy(), *a, **k))

    def proxy():
        from alembic import op

        return op._proxy

    with pytest.raises(RuntimeError, match="killed"):
        upgrade(database)
    monkeypatch.undo()
    assert current(database) is None
    assert tables(database) == set()
    upgrade(database)
    check(database)


def test_nothing_is_made_by_looking(database, url, backend):
    assert current(database) is None
    if backend == "sqlite":
        assert not Path(database.url.database).parent.exists()
