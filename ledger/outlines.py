"""What pinned models hold, kept so that no header is read twice."""

from dataclasses import dataclass

from sqlalchemy import Connection, select

from analyzer.outline import Outline
from ledger.artifacts import Artifacts
from ledger.clock import now
from ledger.insert import upsert
from ledger.parsed import PARSED
from ledger.tables import outlines


@dataclass(frozen=True, slots=True)
class KnownFile:
    """A weight file: its size, its sha256, and whether all that is read of it belongs to that."""

    size: int
    sha256: str
    trusted: bool


@dataclass(frozen=True, slots=True)
class KnownModel:
    """The outline of a pinned model, with its files and the warnings of opening it."""

    outline: Outline
    files: dict[str, KnownFile]
    warnings: tuple[str, ...] = ()


def put_outline(connection: Connection, artifacts: Artifacts, key: str, model: KnownModel) -> None:
    """Keep an outline."""
    files = {name: [file.size, file.sha256, file.trusted] for name, file in model.files.items()}
    row = {
        "key": key,
        "artifact": artifacts.put(connection, model.outline.model_dump_json().encode()),
        "files": {"files": files, "warnings": list(model.warnings)},
        "created_at": now(),
    }
    upsert(connection, outlines, row, key=["key"])


def get_outline(connection: Connection, artifacts: Artifacts, key: str) -> KnownModel | None:
    """The outline of that key; None where it is to be read: for the first time, or as another
    version did, or because it is damaged.
    """
    row = connection.execute(select(outlines).where(outlines.c.key == key)).one_or_none()
    if row is None:
        return None
    content = artifacts.get_all(connection, [row.artifact])
    if row.artifact not in content:
        return None
    return KnownModel(
        PARSED.get(Outline, row.artifact, content[row.artifact]),
        {name: KnownFile(*fields) for name, fields in row.files["files"].items()},
        tuple(row.files["warnings"]),
    )
