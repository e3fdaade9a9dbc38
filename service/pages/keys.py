"""Keys as they may be shown: the caller's own, and to a key of every owner all of them.

They are made and revoked by the command line alone, so that a key that was stolen makes no other.
"""

from fastapi import APIRouter, Request, Response

from ledger.keys import SCOPES, ApiKey, key_of, list_keys
from ledger.settings import Settings
from service.context import ON_THIS_MACHINE, Anyone, TheLedger, key_text
from service.jobs.views import stamp
from service.pages.route import PageRoute
from service.pages.signing import WRONG
from service.pages.templating import page
from service.problems import Problem

router = APIRouter(route_class=PageRoute, include_in_schema=False)


@router.get("/keys")
def keys(request: Request, ledger: TheLedger, caller: Anyone) -> Response:
    """The page; on this machine alone it says that no key is needed."""
    if caller is ON_THIS_MACHINE:
        return page(request, "keys.html", own=None, every=None, scopes=SCOPES, limits=())
    pepper = ledger.settings.key_pepper.get_secret_value()
    with ledger.database.read() as connection:
        own = key_of(connection, key_text(request), pepper)
        if own is None:  # revoked a moment ago
            raise Problem("unauthorized", WRONG)
        every = list_keys(connection) if "admin" in own.scopes else None
    return page(
        request, "keys.html", own=_shown(own), scopes=SCOPES, limits=_limits(ledger.settings),
        every=None if every is None else [_shown(each) for each in every],
    )  # fmt: skip


def _shown(key: ApiKey) -> dict[str, str | None]:
    return {
        "id": key.id,
        "name": key.name,
        "owner": key.owner,
        "scopes": ", ".join(name for name in SCOPES if name in key.scopes),
        "created_at": stamp(key.created_at),
        "revoked_at": stamp(key.revoked_at),
    }


def _limits(settings: Settings) -> tuple[tuple[str, float, str], ...]:
    """What an owner may ask for: name, number and unit; 0 is any number."""
    return (
        ("Submissions", settings.submit_rate, f"a second, {settings.submit_burst} at once"),
        ("Jobs that have not ended", settings.open_jobs, ""),
        ("Units of work that these wait for", settings.open_units, ""),
        ("Uploaded data", settings.datasets_total_bytes, "bytes"),
    )
