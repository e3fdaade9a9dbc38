"""A job whose page is asked for, with what it came to."""

from allocator.plan import Plan
from allocator.read import read_plan
from ledger.access import Ledger
from ledger.jobs import get
from service.context import Caller
from service.jobs.views import View, document_text, view


def find_plan(ledger: Ledger, caller: Caller, job_id: str) -> tuple[View, Plan | None]:
    """The job of a plan, and the plan once it is there. Raises NotFound."""
    with ledger.database.read() as connection:
        found = view(connection, caller.reads, "plan", job_id)
        text = document_text(ledger, connection, found)
    return found, None if text is None else read_plan(text)


def has_succeeded(ledger: Ledger, caller: Caller, kind: str, job_id: str) -> bool:
    """Whether what the job is for is there. Raises NotFound."""
    with ledger.database.read() as connection:
        return bool(get(connection, caller.reads, kind, job_id)["state"] == "succeeded")
