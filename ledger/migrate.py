"""The database's version: upgraded in one place, checked everywhere else."""

from pathlib import Path

from alembic import command
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory

from ledger.database import Database
from ledger.errors import WrongVersion

FOLDER = Path(__file__).parent / "migrations"


def upgrade(database: Database) -> tuple[str | None, str]:
    """Bring the tables to this version: the versions before and after.

    Two programs may do so at once: the second one waits and finds nothing to do. Raises
    WrongVersion for tables of a version that this program does not know.
    """
    before = current(database)
    if before is not None and before not in _known():
        raise WrongVersion(_newer(before))
    if database.is_sqlite and database.url.database:
        Path(database.url.database).parent.mkdir(parents=True, exist_ok=True)
    with database.write() as connection:
        if not database.is_sqlite:
            connection.exec_driver_sql("SELECT pg_advisory_xact_lock(8245360)")
        config = Config()
        config.set_main_option("script_location", str(FOLDER))
        config.attributes["connection"] = connection
        command.upgrade(config, "head")
    return before, head()


def head() -> str:
    """The version of this program's tables."""
    found = ScriptDirectory(str(FOLDER)).get_current_head()
    assert found is not None
    return found


def current(database: Database) -> str | None:
    """The version of the database's tables; None where it has none."""
    if database.is_sqlite and database.url.database and not Path(database.url.database).exists():
        return None
    with database.read() as connection:
        return MigrationContext.configure(connection).get_current_revision()


def check(database: Database) -> None:
    """Raise WrongVersion unless the tables are those of this version."""
    found = current(database)
    if found is not None and found not in _known():
        raise WrongVersion(_newer(found))
    if found != head():
        raise WrongVersion(
            f"the database is at version {found or 'none'}, this program needs {head()}; "
            "run `tailora db upgrade`"
        )


def _known() -> set[str]:
    return {script.revision for script in ScriptDirectory(str(FOLDER)).walk_revisions()}


def _newer(found: str) -> str:
    return (
        f"the database is at version {found}, which is newer than this program ({head()}); "
        "install the version that made it"
    )
