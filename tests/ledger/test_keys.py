"""API keys: shown once, kept as a peppered hash, revoked at once."""

import hashlib

import pytest

from ledger.errors import NotFound
from ledger.keys import Holder, create_key, holder_of, list_keys, revoke_key
from ledger.tables import api_keys

PEPPER = "a pepper of the tests"
READ_WRITE = frozenset({"read", "write"})


def test_a_key_is_its_owners(database):
    with database.write() as connection:
        text, key = create_key(connection, "laptop", "ann", PEPPER)
        other, _ = create_key(connection, "laptop", "ben", PEPPER)
    assert (key.name, key.owner, key.revoked_at) == ("laptop", "ann", None)
    assert text.startswith("tlr_")
    assert len(text) >= 4 + 43  # 32 random bytes
    assert text != other
    with database.read() as connection:
        assert holder_of(connection, text, PEPPER) == Holder("ann", READ_WRITE)
        assert holder_of(connection, other, PEPPER) == Holder("ben", READ_WRITE)


def test_the_text_of_a_key_is_nowhere_kept(database):
    with database.write() as connection:
        text, key = create_key(connection, "laptop", "ann", PEPPER)
        row = connection.execute(api_keys.select()).one()
        assert list_keys(connection) == [key]
    secret = text.removeprefix("tlr_")
    assert secret not in repr(row) + repr(key)
    for plain in (text, secret, PEPPER + text, text + PEPPER):
        assert hashlib.sha256(plain.encode()).hexdigest() != row.hash


def test_without_the_pepper_the_hash_says_nothing(database):
    with database.write() as connection:
        text, _ = create_key(connection, "laptop", "ann", PEPPER)
        assert holder_of(connection, text, "another pepper, as long") is None
        assert holder_of(connection, text, "") is None


def test_unknown_wrong_and_revoked_keys_are_alike(database):
    with database.write() as connection:
        text, key = create_key(connection, "laptop", "ann", PEPPER)
        assert revoke_key(connection, key.id) == [key.id]
        stored = connection.execute(api_keys.select()).one().hash
        for wrong in (
            text,
            text[:-1],
            text + "x",
            text.upper(),
            "",
            "tlr_",
            "ä",
            stored,
            key.id,
            "%",
        ):
            assert holder_of(connection, wrong, PEPPER) is None


def test_keys_are_revoked_by_name_or_id(database):
    with database.write() as connection:
        first, one = create_key(connection, "laptop", "ann", PEPPER)
        second, two = create_key(connection, "laptop", "ben", PEPPER)
        third, three = create_key(connection, "server", "ann", PEPPER)
        assert set(revoke_key(connection, "laptop")) == {one.id, two.id}
    with database.write() as connection:
        found = [holder_of(connection, text, PEPPER) for text in (first, second, third)]
        assert found == [None, None, Holder("ann", READ_WRITE)]
        assert revoke_key(connection, three.id) == [three.id]
        for name in ("laptop", three.id, "nobody", ""):
            with pytest.raises(NotFound):
                revoke_key(connection, name)
        listed = list_keys(connection)
        assert [key.id for key in listed] == sorted([one.id, two.id, three.id])
        assert all(key.revoked_at is not None for key in listed)


def test_a_revoked_key_stays_revoked_when(database):
    with database.write() as connection:
        _, one = create_key(connection, "laptop", "ann", PEPPER)
        revoke_key(connection, one.id)
        before = list_keys(connection)
        create_key(connection, "laptop", "ann", PEPPER)
        revoke_key(connection, "laptop")
        assert list_keys(connection)[0] == before[0]


@pytest.mark.parametrize(
    ("given", "opened"),
    [
        ({"read"}, {"read"}),
        ({"write"}, {"read", "write"}),
        ({"admin"}, {"admin", "read", "write"}),
        ({"gated"}, {"gated"}),
        ({"gated", "read"}, {"gated", "read"}),
    ],
)
def test_scopes_include_others(database, given, opened):
    with database.write() as connection:
        text, key = create_key(connection, "laptop", "ann", PEPPER, given)
        assert key.scopes == given
        assert holder_of(connection, text, PEPPER) == Holder("ann", frozenset(opened))
