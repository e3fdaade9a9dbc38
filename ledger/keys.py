"""API keys: shown once, kept as a peppered hash, looked up in one indexed read."""

import hashlib
import hmac
import secrets
from collections.abc import Collection, Iterable
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, Row, insert, select, update

from ledger.clock import now
from ledger.errors import NotFound
from ledger.ids import new_id
from ledger.tables import api_keys

PREFIX = "tlr_"

SCOPES = {
    "read": "see the owner's jobs and what came out of them",
    "write": "submit, cancel, retry and delete; read too",
    "admin": "the same for the jobs of every owner",
    "gated": "besides: ask for gated and private models, and see jobs of such",
}
DEFAULT_SCOPES = frozenset({"write"})
_INCLUDED = {"write": {"read"}, "admin": {"read", "write"}}


@dataclass(frozen=True, slots=True)
class ApiKey:
    """A key as it may be shown: never itself."""

    id: str
    name: str
    owner: str
    scopes: frozenset[str]
    created_at: float
    revoked_at: float | None


@dataclass(frozen=True, slots=True)
class Holder:
    """Whoever came with a valid key, and what it opens, all that scopes include."""

    owner: str
    scopes: frozenset[str]


def create_key(
    connection: Connection,
    name: str,
    owner: str,
    pepper: str,
    scopes: Collection[str] = DEFAULT_SCOPES,
) -> tuple[str, ApiKey]:
    """A new key for an owner: the text, which is nowhere kept, and what is."""
    text = PREFIX + secrets.token_urlsafe(32)
    key_id = new_id("key")
    row = connection.execute(
        insert(api_keys)
        .values(
            id=key_id,
            name=name,
            owner=owner,
            hash=_hash(text, pepper),
            scopes=",".join(name for name in SCOPES if name in scopes),
            created_at=now(),
        )
        .returning(api_keys)
    ).one()
    return text, _shown(row)


def holder_of(connection: Connection, text: str, pepper: str) -> Holder | None:
    """The holder of a valid key; None for one that is unknown, wrong or revoked."""
    found = key_of(connection, text, pepper)
    return None if found is None else Holder(found.owner, included(found.scopes))


def key_of(connection: Connection, text: str, pepper: str) -> ApiKey | None:
    """A valid key as it may be shown; None for one that is unknown, wrong or revoked."""
    digest = _hash(text, pepper)
    row = connection.execute(
        select(api_keys).where(api_keys.c.hash == digest, api_keys.c.revoked_at.is_(None))
    ).one_or_none()
    if row is None or not hmac.compare_digest(row.hash, digest):
        return None
    return _shown(row)


def included(scopes: Iterable[str]) -> frozenset[str]:
    """Scopes with all that they include."""
    given = set(scopes)
    return frozenset(given.union(*(_INCLUDED.get(scope, set()) for scope in given)))


def list_keys(connection: Connection) -> list[ApiKey]:
    """All keys, oldest first."""
    rows = connection.execute(select(api_keys).order_by(api_keys.c.id))
    return [_shown(row) for row in rows]


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


def _shown(row: Row[Any]) -> ApiKey:
    scopes = frozenset(row.scopes.split(","))
    return ApiKey(row.id, row.name, row.owner, scopes, row.created_at, row.revoked_at)


def _hash(text: str, pepper: str) -> str:
    return hmac.new(pepper.encode(), text.encode(), hashlib.sha256).hexdigest()
