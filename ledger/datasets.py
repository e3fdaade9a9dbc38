"""Uploaded datasets: create, look up, list, remove; each within what the caller may reach."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import (
    ColumnElement,
    Connection,
    RowMapping,
    delete,
    func,
    insert,
    or_,
    select,
    true,
)

from ledger.clock import now
from ledger.errors import Conflict, NoRoom, NotFound
from ledger.ids import new_id
from ledger.quotas import take_turn
from ledger.reach import Reach
from ledger.settings import Settings
from ledger.states import UNENDED
from ledger.tables import datasets, files, jobs

PREFIX = "dts"
Dataset = RowMapping


@dataclass(frozen=True, slots=True)
class NewDataset:
    """What was uploaded; its bytes are an artifact already."""

    owner: str
    name: str
    format: str
    bytes: int
    artifact: str
    columns: Sequence[str] | None
    """None where nobody could read them."""

    labels: Mapping[str, str]


def create(connection: Connection, new: NewDataset) -> str:
    """Write the row of a dataset; its id."""
    dataset_id = new_id(PREFIX)
    columns = None if new.columns is None else list(new.columns)
    values = {"id": dataset_id, "columns": columns, "labels": dict(new.labels)}
    for name in ("owner", "name", "format", "bytes", "artifact"):
        values[name] = getattr(new, name)
    connection.execute(insert(datasets).values(**values, created_at=now()))
    return dataset_id


def take_room(connection: Connection, settings: Settings, owner: str, size: int) -> None:
    """Count one upload of so many bytes, in the transaction that keeps it.

    The owner's row stays locked until then, so that several at once do not pass together. Raises
    QuotaExceeded for too many at once, NoRoom where the owner's datasets would take too much.
    """
    take_turn(connection, owner, settings.submit_rate, settings.submit_burst)
    check_room(connection, settings, owner, size)


def check_room(connection: Connection, settings: Settings, owner: str, size: int) -> None:
    """Whether so many bytes more may be kept. Raises NoRoom.

    What was deleted counts as long as a job of the owner needs it.
    """
    most = settings.datasets_total_bytes
    mine = select(func.sum(datasets.c.bytes)).where(datasets.c.owner == owner)
    own = select(datasets.c.artifact).where(datasets.c.owner == owner)
    needed = (
        select(files.c.artifact, files.c.bytes)
        .join(jobs, jobs.c.id == files.c.job_id)
        .where(jobs.c.owner == owner, files.c.name.startswith("in/"), files.c.artifact.not_in(own))
        .distinct()
        .subquery()
    )
    there = int(connection.scalar(mine) or 0)
    there += int(connection.scalar(select(func.sum(needed.c.bytes))) or 0)
    if most and there + size > most:
        raise NoRoom(
            f"your datasets have {there} bytes, and with {size} more would have more than {most}; "
            "delete some that you do not need, and trainings of them that have failed"
        )


def get(connection: Connection, reach: Reach, dataset_id: str, *, hold: bool = False) -> Dataset:
    """A dataset within reach; `hold` keeps it from being removed until the transaction ends.

    Raises NotFound.
    """
    query = select(datasets).where(datasets.c.id == dataset_id, _covered(reach))
    if hold:
        query = query.with_for_update(read=True)
    row = connection.execute(query).mappings().one_or_none()
    if row is None:
        raise NotFound(
            f"there is no dataset {dataset_id[:60]} of yours; list them, or upload it again"
        )
    return row


def list_datasets(
    connection: Connection, reach: Reach, *, before: str | None, limit: int
) -> list[Dataset]:
    """Datasets within reach, newest first; one more than the limit where there are more."""
    query = select(datasets).where(_covered(reach))
    if before is not None:
        query = query.where(datasets.c.id < before)
    found = connection.execute(query.order_by(datasets.c.id.desc()).limit(limit + 1))
    return list(found.mappings())


def remove(connection: Connection, reach: Reach, dataset_id: str) -> str:
    """Delete a dataset; the sha256 of its bytes, which others may have too.

    Raises NotFound, or Conflict where a job needs it that has not ended.
    """
    connection.execute(select(datasets.c.id).where(datasets.c.id == dataset_id).with_for_update())
    artifact = str(get(connection, reach, dataset_id)["artifact"])
    user = user_of(connection, dataset_id)
    if user is not None:
        raise Conflict(f"{dataset_id} is needed by {user}, which has not ended; cancel that first")
    connection.execute(delete(datasets).where(datasets.c.id == dataset_id))
    return artifact


def user_of(connection: Connection, dataset_id: str) -> str | None:
    """A job that has not ended and whose request names the dataset."""
    named: list[Any] = [jobs.c.request["data"][part]["id"] for part in ("train", "held_out")]
    uses = or_(*(each.as_string() == dataset_id for each in named))
    return connection.scalar(select(jobs.c.id).where(jobs.c.state.in_(UNENDED), uses).limit(1))


def _covered(reach: Reach) -> ColumnElement[bool]:
    return true() if reach.owner is None else datasets.c.owner == reach.owner
