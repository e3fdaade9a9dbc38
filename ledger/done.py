"""A job that is done as soon as it is asked for, since what it comes to is kept already.

Hundreds a second may be: statements are built once.
"""

from dataclasses import dataclass

from sqlalchemy import (
    Connection,
    Double,
    String,
    bindparam,
    exists,
    insert,
    literal,
    literal_column,
    select,
    union_all,
)

from ledger.artifacts import sharing_lock
from ledger.clock import now
from ledger.counters import ended_at_once
from ledger.jobs import Job, NewJob, values_of
from ledger.tables import counters, events, jobs, results

_analysis = jobs.alias()
_MADE = (
    select(results.c.artifact, results.c.digest, jobs.c.analysis_id)
    .join(jobs, jobs.c.id == results.c.job_id)
    .where(
        jobs.c.owner == bindparam("its_owner"),
        jobs.c.content_key == bindparam("content"),
        jobs.c.kind == "plan",
        jobs.c.state == "succeeded",
        jobs.c.analysis_id.is_(None)
        | exists(select(1).where(_analysis.c.id == jobs.c.analysis_id)),
    )
    .order_by(jobs.c.id.desc())
    .limit(1)
)
_JOB = (
    insert(jobs)
    .values(created_at=now(), started_at=now(), finished_at=now(), state="succeeded", last_event=2)
    .returning(jobs)
)
_EVENTS = insert(events).from_select(
    ["job_id", "seq", "time", "level", "type", "message"],
    union_all(
        *(
            select(
                bindparam("job", type_=String),
                literal_column(str(seq)),
                now(),
                literal_column("'info'"),
                literal_column(f"'{kind}'"),
                bindparam(kind, type_=String),
            )
            for seq, kind in ((1, "queued"), (2, "succeeded"))
        )
    ),
)
_RESULT = insert(results)
_COUNTED = insert(counters).from_select(
    ["name", "labels", "value"],
    union_all(
        *(
            select(literal(name, String), literal(labels, String), literal(value, Double))
            for (name, labels), value in ended_at_once("plan").values.items()
        )
    ),
)


@dataclass(frozen=True, slots=True)
class Made:
    """What a plan came to."""

    artifact: str
    digest: str | None
    analysis_id: str | None


def made_before(connection: Connection, owner: str, content_key: str) -> Made | None:
    """The owner's newest plan of this very content, which cannot be dropped in this transaction.

    Its analysis is still there, where it was made from one.
    """
    sharing_lock(connection)
    found = connection.execute(_MADE, {"its_owner": owner, "content": content_key}).one_or_none()
    return None if found is None else Made(found.artifact, found.digest, found.analysis_id)


def create_done(connection: Connection, new: NewJob, made: Made) -> Job:
    """Write a plan job that has succeeded, with its events and result; its row."""
    values = values_of(new)
    own = {name: value for name, value in values.items() if name not in ("state", "created_at")}
    own |= {"phase": None, "analysis_id": made.analysis_id}
    job = connection.execute(_JOB, own).mappings().one()
    told = {"queued": f"plan of {new.model} was accepted", "succeeded": "its like was there"}
    connection.execute(_EVENTS, {"job": job["id"], **told})
    connection.execute(
        _RESULT, {"job_id": job["id"], "artifact": made.artifact, "digest": made.digest}
    )
    connection.execute(_COUNTED)
    return job
