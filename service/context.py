"""What a request finds in the app: the ledger, and who asks with which scopes."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Annotated

from fastapi import Depends, Request
from fastapi.concurrency import run_in_threadpool

from ledger.access import Ledger
from ledger.keys import SCOPES, Holder
from ledger.reach import Reach
from service.cookies import key_of_page
from service.keyring import KeyRing
from service.problems import Problem

LOCAL = "local"
"""The owner where no key is asked for."""

GATED = "gated"


async def ledger_of(request: Request) -> Ledger:
    """The app's ledger. In the event loop, as all that needs no thread."""
    found = request.app.state.ledger
    assert isinstance(found, Ledger)
    return found


TheLedger = Annotated[Ledger, Depends(ledger_of)]


@dataclass(frozen=True, slots=True)
class Caller:
    """Who asks."""

    holder: Holder
    shared: bool = False
    """Whether every key reads the jobs of all owners."""

    limited: bool = True
    """Whether quotas hold; they do not on this machine alone."""

    @property
    def owner(self) -> str:
        """Whose the jobs are that this caller submits."""
        return self.holder.owner

    @property
    def gated(self) -> bool:
        """Whether gated and private models are open to this caller."""
        return GATED in self.holder.scopes

    @property
    def reads(self) -> Reach:
        """The jobs that it may see."""
        everybody = self.shared or "admin" in self.holder.scopes
        return Reach(None if everybody else self.owner, self.gated)

    @property
    def changes(self) -> Reach:
        """The jobs that it may cancel, retry and delete."""
        return Reach(None if "admin" in self.holder.scopes else self.owner, self.gated)


ON_THIS_MACHINE = Caller(Holder(LOCAL, frozenset(SCOPES)), limited=False)


def key_text(request: Request) -> str:
    """The API key that a request brings; empty where it brings none.

    Without the header it is that of the page's cookie, where the page itself asks.
    """
    given = request.headers.get("authorization")
    if given is None:
        return key_of_page(request)
    scheme, _, text = given.partition(" ")
    return text.strip() if scheme.lower() == "bearer" else ""


def remembered_caller(request: Request, ledger: Ledger) -> Caller | None:
    """Who asks, where that is known without asking the ledger."""
    if ledger.settings.on_loopback and not request.headers.get("authorization"):
        return ON_THIS_MACHINE
    keys: KeyRing = request.app.state.keys
    holder = keys.remembered(key_text(request))
    return None if holder is None else Caller(holder, shared=ledger.settings.shared)


async def caller_of(request: Request, ledger: Ledger) -> Caller:
    """Who is behind the request's key; on this machine alone none is needed.

    The answer to an unknown, a wrong and a revoked key is the same. Raises Problem.
    """
    caller = remembered_caller(request, ledger)
    if caller is not None:
        return caller
    holder = None
    if text := key_text(request):
        holder = await run_in_threadpool(request.app.state.keys.holder, text)
    if holder is None:
        request.app.state.refusals.count(request.client.host if request.client else "")
        raise Problem(
            "unauthorized",
            "send a valid key as `Authorization: Bearer …`; the operator makes one with "
            "`tailora keys create`",
        )
    return Caller(holder, shared=ledger.settings.shared)


async def anyone(request: Request, ledger: TheLedger) -> Caller:
    """Who asks, with any valid key. Raises Problem."""
    return await caller_of(request, ledger)


def needs(scope: str) -> Callable[[Request, Ledger], Awaitable[Caller]]:
    """A dependency: who asks, with a key of that scope. Raises Problem."""

    async def caller(request: Request, ledger: TheLedger) -> Caller:
        found = await caller_of(request, ledger)
        if scope not in found.holder.scopes:
            raise Problem(
                "scope_missing",
                f"this needs a key with the scope `{scope}`: {SCOPES[scope]}; the operator makes "
                f"one with `tailora keys create NAME --scope {scope}`",
            )
        return found

    return caller


Anyone = Annotated[Caller, Depends(anyone)]
Reader = Annotated[Caller, Depends(needs("read"))]
Writer = Annotated[Caller, Depends(needs("write"))]
