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
_GIVEN = (
    "id", "kind", "owner", "restricted", "phase", "request", "labels", "model", "revision",
    "outline_key", "content_key", "analysis_id", "parent_id",
)  # fmt: skip
_JOB = (
    insert(jobs)
    .values(
        **{name: bindparam(f"job_{name}", type_=jobs.c[name].type) for name in _GIVEN},
        **dict.fromkeys(("created_at", "started_at", "finished_at"), now()),
        state="succeeded",
        last_event=2,
    )
    .returning(*jobs.c)
)
_EVENTS = insert(events).from_select(
    ["job_id", "seq", "time", "level", "type", "message"],
    union_all(
        *(
            select(
                bindparam("job_id", type_=String),
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
_RESULT = insert(results).values(
    job_id=bindparam("job_id"), artifact=bindparam("document"), digest=bindparam("its_digest")
)
_COUNTED = insert(counters).from_select(
    ["name", "labels", "value"],
    union_all(
        *(
            select(literal(name, String), literal(labels, String), literal(value, Double))
            for (name, labels), value in ended_at_once("plan").values.items()
        )
    ),
)
_ALL_AT_ONCE = select(_JOB.cte("job")).add_cte(
    _EVENTS.cte("told"), _RESULT.cte("result"), _COUNTED.cte("counted")
)
"""For PostgreSQL: one way to the server and back in place of four."""


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
    values = {**values_of(new), "phase": None, "analysis_id": made.analysis_id}
    own = {f"job_{name}": values[name] for name in _GIVEN}
    own |= {"queued": f"plan of {new.model} was accepted", "succeeded": "its like was there"}
    own |= {"document": made.artifact, "its_digest": made.digest}
    if connection.dialect.name == "postgresql":
        return connection.execute(_ALL_AT_ONCE, own).mappings().one()
    job = connection.execute(_JOB, own).mappings().one()
    for statement in (_EVENTS, _RESULT, _COUNTED):
        connection.execute(statement, own)
    return job
