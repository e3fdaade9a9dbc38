"""Which jobs somebody may see or change; of all others it is as if they were not there."""

from dataclasses import dataclass

from sqlalchemy import ColumnElement, and_, true

from ledger.tables import jobs


@dataclass(frozen=True, slots=True)
class Reach:
    """Jobs by whose they are, and by how open their models are."""

    owner: str | None
    """None: anybody's."""

    restricted: bool = False
    """Whether also those of gated or private models."""

    def covers(self) -> ColumnElement[bool]:
        """Whether a job is one of them."""
        owned = true() if self.owner is None else jobs.c.owner == self.owner
        return owned if self.restricted else and_(owned, ~jobs.c.restricted)
