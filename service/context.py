"""What a request finds in the app: the ledger, and who asks."""

from typing import Annotated

from fastapi import Depends, Request

from ledger.access import Ledger
from ledger.keys import owner_of
from service.problems import Problem

LOCAL = "local"
"""The owner where no key is asked for."""


def ledger_of(request: Request) -> Ledger:
    """The app's ledger."""
    found = request.app.state.ledger
    assert isinstance(found, Ledger)
    return found


TheLedger = Annotated[Ledger, Depends(ledger_of)]


def owner_of_request(request: Request, ledger: TheLedger) -> str:
    """The owner behind the request's key; on this machine alone none is needed.

    The answer to an unknown, a wrong and a revoked key is the same. Raises Problem.
    """
    scheme, _, text = request.headers.get("authorization", "").partition(" ")
    if not scheme and ledger.settings.on_loopback:
        return LOCAL
    owner = None
    if scheme.lower() == "bearer" and text:
        pepper = ledger.settings.key_pepper.get_secret_value()
        with ledger.database.read() as connection:
            owner = owner_of(connection, text.strip(), pepper)
    if owner is None:
        raise Problem(
            "unauthorized",
            "send a valid key as `Authorization: Bearer …`; the operator makes one with "
            "`tailora keys create`",
        )
    return owner


Owner = Annotated[str, Depends(owner_of_request)]
