"""API keys of a test's own, and an API that asks for them."""

from ledger.keys import create_key

PEPPER = "sixteen or more letters"
REACHED = {"host": "0.0.0.0", "key_pepper": PEPPER}
"""Settings of an API that others reach."""


def new_key(api, name: str, owner: str, *scopes: str) -> dict[str, str]:
    """The headers of a new key; by default it may write."""
    with api.ledger.database.write() as connection:
        text, _ = create_key(connection, name, owner, PEPPER, scopes or ("write",))
    return {"Authorization": f"Bearer {text}"}
