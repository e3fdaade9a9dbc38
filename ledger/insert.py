"""Insert what is not there yet, in the words of either database."""

from collections.abc import Callable, Sequence
from typing import Any

from sqlalchemy import ColumnElement, Connection, Table
from sqlalchemy.dialects import postgresql, sqlite


def insert_new(connection: Connection, table: Table, *rows: dict[str, Any]) -> int:
    """Insert rows; those whose key is there already are left as they are. How many were new."""
    if not rows:
        return 0
    dialect = sqlite if connection.dialect.name == "sqlite" else postgresql
    new = 0
    for row in rows:
        statement = dialect.insert(table).values(row).on_conflict_do_nothing()
        # PostgreSQL's driver forgets how many rows an INSERT was unless it is asked to remember.
        kept = connection.execute(statement, execution_options={"preserve_rowcount": True})
        new += kept.rowcount
    return new


def upsert(
    connection: Connection,
    table: Table,
    row: dict[str, Any],
    *,
    key: Sequence[str],
    where: Callable[[Any], ColumnElement[bool]] | None = None,
) -> None:
    """Insert a row, or change the one that has its key, where that `where` of the new row holds."""
    dialect = sqlite if connection.dialect.name == "sqlite" else postgresql
    changed = {name: value for name, value in row.items() if name not in key}
    statement = dialect.insert(table).values(row)
    only = None if where is None else where(statement.excluded)
    connection.execute(
        statement.on_conflict_do_update(index_elements=list(key), set_=changed, where=only)
    )
