"""API keys: shown once, kept as a peppered hash, looked up in one indexed read."""

import hashlib
import hmac
import secrets
from dataclasses import dataclass

from sqlalchemy import Connection, insert, select, update

from ledger.clock import now
from ledger.errors import NotFound
from ledger.ids import new_id
from ledger.tables import api_keys

PREFIX = "tlr_"


@dataclass(frozen=True, slots=True)
class ApiKey:
    """A key as it may be shown: never itself."""

    id: str
    name: str
    owner: str
    created_at: float
    revoked_at: float | None


def create_key(connection: Connection, name: str, owner: str, pepper: str) -> tuple[str, ApiKey]:
    """A new key for an owner: the text, which is nowhere kept, and what is."""
    text = PREFIX + secrets.token_urlsafe(32)
    key_id = new_id("key")
    row = connection.execute(
        insert(api_keys)
        .values(id=key_id, name=name, owner=owner, hash=_hash(text, pepper), created_at=now())
        .returning(api_keys)
    ).one()
    return text, ApiKey(row.id, row.name, row.owner, row.created_at, row.revoked_at)


def owner_of(connection: Connection, text: str, pepper: str) -> str | None:
    """The owner of a valid key; None for one that is unknown, wrong or revoked."""
    digest = _hash(text, pepper)
    row = connection.execute(
        select(api_keys.c.owner, api_keys.c.hash).where(
            api_keys.c.hash == digest, api_keys.c.revoked_at.is_(None)
        )
    ).one_or_none()
    if row is None or not hmac.compare_digest(row.hash, digest):
        return None
    return str(row.owner)


def list_keys(connection: Connection) -> list[ApiKey]:
    """All keys, oldest first."""
    rows = connection.execute(select(api_keys).order_by(api_keys.c.id))
    return [ApiKey(row.id, row.name, row.owner, row.created_at, row.revoked_at) for row in rows]


def revoke_key(connection: Connection, name_or_id: str) -> list[str]:
    """Revoke a key by its id, or all keys of a name: their ids. Raises NotFound."""
    found = connection.scalars(
        update(api_keys)
        .where(
            (api_keys.c.id == name_or_id) | (api_keys.c.name == name_or_id),
            api_keys.c.revoked_at.is_(None),
        )
        .values(revoked_at=now())
        .returning(api_keys.c.id)
    ).all()
    if not found:
        raise NotFound(f"there is no valid key {name_or_id}; see `tailora keys list`")
    return list(found)


def _hash(text: str, pepper: str) -> str:
    return hmac.new(pepper.encode(), text.encode(), hashlib.sha256).hexdigest()
