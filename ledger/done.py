"""A job that is done as soon as it is asked for, since what it comes to is kept already."""

from dataclasses import dataclass

from sqlalchemy import Connection, exists, insert, select

from ledger.artifacts import sharing_lock
from ledger.clock import now
from ledger.counters import Tally
from ledger.jobs import Job, NewJob, values_of
from ledger.tables import events, jobs, results


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
    analysis = jobs.alias()
    there = exists(select(1).where(analysis.c.id == jobs.c.analysis_id))
    row = connection.execute(
        select(results.c.artifact, results.c.digest, jobs.c.analysis_id)
        .join(jobs, jobs.c.id == results.c.job_id)
        .where(
            jobs.c.owner == owner,
            jobs.c.content_key == content_key,
            jobs.c.kind == "plan",
            jobs.c.state == "succeeded",
            jobs.c.analysis_id.is_(None) | there,
        )
        .order_by(jobs.c.id.desc())
        .limit(1)
    ).one_or_none()
    return None if row is None else Made(row.artifact, row.digest, row.analysis_id)


def create_done(connection: Connection, new: NewJob, made: Made) -> Job:
    """Write a job that has succeeded, with its events and result; its row."""
    values = values_of(new)
    job_id = values["id"]
    done = {"state": "succeeded", "phase": None, "last_event": 2, "analysis_id": made.analysis_id}
    statement = insert(jobs).values(**{**values, **done}, started_at=now(), finished_at=now())
    job = connection.execute(statement.returning(jobs)).mappings().one()
    told = (
        ("queued", f"{new.kind} of {new.model} was accepted"),
        ("succeeded", f"the {new.kind} was there already"),
    )
    connection.execute(
        insert(events).values(time=now(), level="info"),
        [
            {"job_id": job_id, "seq": seq, "type": kind, "message": message}
            for seq, (kind, message) in enumerate(told, start=1)
        ],
    )
    connection.execute(
        insert(results).values(job_id=job_id, artifact=made.artifact, digest=made.digest)
    )
    tally = Tally()
    tally.add("jobs_ended", kind=new.kind, state="succeeded")
    tally.observe("job_seconds", 0.0, kind=new.kind)
    tally.write(connection)
    return job
