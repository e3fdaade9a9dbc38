"""Accept a training: job, inputs, first unit and event in one transaction, or nothing."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from sqlalchemy import Connection

from ledger import datasets
from ledger.access import Ledger
from ledger.errors import Conflict
from ledger.jobs import Job, NewJob, create, get_locked
from ledger.reach import Reach
from ledger.results import get_result
from ledger.runs import put_file
from worker.orders import DATA, PLANS, Source
from worker.requests import RunWords
from worker.segments import PHASE, add_segment
from worker.submitting import ACCEPTED, Key, Submitted, once


@dataclass(frozen=True, slots=True)
class RunSubmission:
    """Who asks for which training, or comparison, under which plans and on which data."""

    kind: str
    owner: str
    words: RunWords
    plan_ids: Sequence[str]
    data: Mapping[str, Source]
    """`train`, and `held_out` where it is data of its own."""

    labels: Mapping[str, str]
    reads: Reach
    """Where the plans may be."""

    key: Key | None = None
    limited: bool = False
    """Whether the owner's quotas hold."""


def submit_run(ledger: Ledger, asked: RunSubmission) -> Submitted:
    """Accept it. Raises KeyReused, QuotaExceeded, NotFound, Conflict or DatabaseUnavailable."""

    def make(connection: Connection) -> Submitted:
        plans = [_plan(connection, asked.reads, plan_id) for plan_id in asked.plan_ids]
        job_id = create(connection, _row(asked, plans))
        for number, plan in enumerate(plans):
            document = get_result(connection, ledger.artifacts, plan["id"])
            if document is None:
                raise Conflict(f"the document of {plan['id']} is gone; make the plan again")
            _keep(connection, ledger, job_id, PLANS.format(number), document.encode())
        for name, source in asked.data.items():
            if source.id is not None:
                held = datasets.get(connection, asked.reads, source.id, hold=True)
                digest, size = held["artifact"], held["bytes"]
                put_file(connection, job_id, DATA.format(name), artifact=digest, size=size)
        add_segment(connection, job_id)
        return Submitted(job_id, ACCEPTED)

    return once(ledger, asked.owner, asked.key, make, limited=asked.limited)


def _plan(connection: Connection, reads: Reach, plan_id: str) -> Job:
    """A plan that is done, and stays as it is until the transaction ends."""
    plan = get_locked(connection, reads, "plan", plan_id)
    if plan["state"] != "succeeded":
        raise Conflict(f"{plan_id} is {plan['state']}; train once it has succeeded")
    return plan


def _row(asked: RunSubmission, plans: Sequence[Job]) -> NewJob:
    plan = plans[0]
    data = {name: source.as_json() for name, source in asked.data.items()}
    words = asked.words.model_dump(mode="json")
    return NewJob(
        kind=asked.kind,
        owner=asked.owner,
        request={"place": plan["request"]["place"], "words": words, "data": data},
        model=plan["model"],
        revision=plan["revision"],
        outline_key=None,
        labels=asked.labels,
        phase=PHASE,
        restricted=any(each["restricted"] for each in plans),
    )


def _keep(connection: Connection, ledger: Ledger, job_id: str, name: str, content: bytes) -> None:
    digest = ledger.artifacts.put(connection, content)
    put_file(connection, job_id, name, artifact=digest, size=len(content))
