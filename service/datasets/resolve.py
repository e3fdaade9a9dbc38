"""From what a request calls a dataset to where its bytes are: never a path."""

import re
from dataclasses import dataclass
from pathlib import Path

from sqlalchemy import Connection

from analyzer.text import shown
from ledger import datasets
from ledger.access import Ledger
from ledger.errors import NotFound
from ledger.reach import Reach
from ledger.registered import find

_ID = re.compile(r"dts_[0-9a-f]{1,60}", re.ASCII)


@dataclass(frozen=True, slots=True)
class Found:
    """A dataset: uploaded with id and sha256, or registered with a path; what it is not is None."""

    id: str | None
    name: str
    format: str
    bytes: int
    columns: tuple[str, ...] | None
    """None where nobody has read them."""

    sha256: str | None
    """Of the artifact that holds the bytes: `Artifacts.file_of` makes a file of it."""

    path: Path | None


def is_id(name_or_id: str) -> bool:
    """Whether it can only be the id of an uploaded dataset."""
    return _ID.fullmatch(name_or_id) is not None


def resolve(ledger: Ledger, connection: Connection, reach: Reach, name_or_id: str) -> Found:
    """An uploaded dataset by its id, or a registered one by its name. Raises NotFound.

    In a transaction that writes, nobody removes an uploaded one until it ends.
    """
    if is_id(name_or_id):
        row = datasets.get(connection, reach, name_or_id, hold=True)
        columns = None if row["columns"] is None else tuple(row["columns"])
        known = row["format"], row["bytes"], columns, row["artifact"]
        return Found(row["id"], row["name"], *known, None)
    found = find(ledger.settings.dataset_roots, name_or_id)
    if found is None:
        raise NotFound(unknown(name_or_id))
    return Found(None, found.name, found.format, found.bytes, None, None, found.path)


def unknown(name: str) -> str:
    """What to say of a name that nothing has."""
    return (
        f"there is no dataset {shown(name, 60)}; name an uploaded one by its id (dts_…), or one of "
        "GET /v1/datasets?source=registered"
    )
