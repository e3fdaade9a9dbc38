"""Jobs: submit, look up, list, cancel, retry, delete; each within what the caller may reach."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, RowMapping, delete, func, insert, select, update

from ledger.clock import now
from ledger.errors import Conflict, NotFound
from ledger.events import record
from ledger.ids import new_id
from ledger.reach import Reach
from ledger.settle import release_units, settle_job
from ledger.states import ENDED, LIVE
from ledger.tables import jobs, links, units

PREFIXES = {
    "plan": "pln", "analysis": "ana", "outline": "out", "training": "trn", "comparison": "cmp",
}  # fmt: skip
Job = RowMapping


@dataclass(frozen=True, slots=True)
class NewJob:
    """What a job is asked to be."""

    kind: str
    owner: str
    request: Mapping[str, Any]
    model: str
    revision: str | None
    outline_key: str | None
    labels: Mapping[str, str]
    content_key: str | None = None
    analysis_id: str | None = None
    parent_id: str | None = None
    phase: str = "outline"
    restricted: bool = False
    """Whether the model is gated or private."""


def create(connection: Connection, new: NewJob) -> str:
    """Write a queued job with its first event; its id."""
    values = values_of(new)
    connection.execute(insert(jobs).values(**values))
    record(connection, values["id"], "queued", f"{new.kind} of {new.model} was accepted")
    return str(values["id"])


def values_of(new: NewJob) -> dict[str, Any]:
    """The row of a queued job, with an id of its own."""
    return {
        "id": new_id(PREFIXES[new.kind]),
        "kind": new.kind,
        "owner": new.owner,
        "restricted": new.restricted,
        "state": "queued",
        "phase": new.phase,
        "request": dict(new.request),
        "labels": dict(new.labels),
        "model": new.model,
        "revision": new.revision,
        "outline_key": new.outline_key,
        "content_key": new.content_key,
        "analysis_id": new.analysis_id,
        "parent_id": new.parent_id,
        "created_at": now(),
    }


def get(connection: Connection, reach: Reach, kind: str, job_id: str) -> Job:
    """A job within reach. Raises NotFound."""
    row = (
        connection.execute(
            select(jobs).where(jobs.c.id == job_id, jobs.c.kind == kind, reach.covers())
        )
        .mappings()
        .one_or_none()
    )
    if row is None:
        hint = "" if reach.restricted else " (those of gated models need the key scope `gated`)"
        raise NotFound(
            f"there is no {kind} {job_id[:60]} of yours{hint}; list them, or submit it again"
        )
    return row


@dataclass(frozen=True, slots=True)
class Head:
    """Whether a job may still change: one that has ended does so with a further event only."""

    ended: bool
    last_event: int


def head(connection: Connection, reach: Reach, kind: str, job_id: str) -> Head | None:
    """The head of a job within reach, for the price of one SELECT; None where it is not there."""
    row = connection.execute(
        select(jobs.c.state, jobs.c.last_event).where(
            jobs.c.id == job_id, jobs.c.kind == kind, reach.covers()
        )
    ).one_or_none()
    return None if row is None else Head(row.state in ENDED, row.last_event)


def get_locked(connection: Connection, reach: Reach, kind: str, job_id: str) -> Job:
    """The same, and nobody changes it until the transaction ends. Raises NotFound."""
    connection.execute(select(jobs.c.id).where(jobs.c.id == job_id).with_for_update())
    return get(connection, reach, kind, job_id)


def by_id(connection: Connection, job_id: str) -> Job | None:
    """A job, whoever's it is; for workers."""
    return connection.execute(select(jobs).where(jobs.c.id == job_id)).mappings().one_or_none()


@dataclass(frozen=True, slots=True)
class Filter:
    """Which jobs to list; `before` is the id that the last page ended with."""

    kind: str
    status: str | None = None
    model: str | None = None
    created_after: float | None = None
    created_before: float | None = None
    before: str | None = None
    limit: int = 20


def list_jobs(connection: Connection, reach: Reach, wanted: Filter) -> list[Job]:
    """Jobs within reach, newest first; one more than the limit where there are more."""
    query = select(jobs).where(reach.covers(), jobs.c.kind == wanted.kind)
    for column, value in ((jobs.c.state, wanted.status), (jobs.c.model, wanted.model)):
        if value is not None:
            query = query.where(column == value)
    if wanted.created_after is not None:
        query = query.where(jobs.c.created_at >= wanted.created_after)
    if wanted.created_before is not None:
        query = query.where(jobs.c.created_at < wanted.created_before)
    if wanted.before is not None:
        query = query.where(jobs.c.id < wanted.before)
    found = connection.execute(query.order_by(jobs.c.id.desc()).limit(wanted.limit + 1))
    return list(found.mappings())


def cancel(connection: Connection, reach: Reach, kind: str, job_id: str) -> bool:
    """Ask a job to stop: waiting units go at once, running ones within a heartbeat.

    A plan ends when the analysis that was made for it has. False where the job has ended or was
    asked already. Raises NotFound.
    """
    get(connection, reach, kind, job_id)
    family = (jobs.c.id == job_id) | (jobs.c.parent_id == job_id)
    connection.execute(select(jobs.c.id).where(family).order_by(jobs.c.id).with_for_update())
    if not _ask_to_stop(connection, job_id):
        return False
    asked = [child for child in _children(connection, job_id) if _ask_to_stop(connection, child)]
    for stopping in asked or [job_id]:
        release_units(connection, stopping)
        settle_job(connection, stopping)
    return True


def _ask_to_stop(connection: Connection, job_id: str) -> bool:
    asked = connection.execute(
        update(jobs)
        .where(jobs.c.id == job_id, jobs.c.state.in_(LIVE))
        .values(state="cancelling", phase=None)
    )
    if asked.rowcount:
        record(connection, job_id, "cancelling", "cancel was asked for")
    return asked.rowcount == 1


def _children(connection: Connection, job_id: str) -> list[str]:
    return list(connection.scalars(select(jobs.c.id).where(jobs.c.parent_id == job_id)))


def reopen(connection: Connection, job_id: str, phase: str) -> None:
    """Queue an ended job again: its attempts start anew, what was measured is kept.

    Raises Conflict unless it failed or was cancelled.
    """
    found = connection.execute(
        update(jobs)
        .where(jobs.c.id == job_id, jobs.c.state.in_(("failed", "cancelled")))
        .values(
            state="queued",
            phase=phase,
            error=None,
            attempt=jobs.c.attempt + 1,
            assemblies=0,
            assemble_until=None,
            started_at=None,
            finished_at=None,
        )
    )
    if found.rowcount == 0:
        raise Conflict(f"{job_id} has not failed and was not cancelled; only such a job is retried")
    connection.execute(delete(links).where(links.c.job_id == job_id))
    record(connection, job_id, "queued", "retry was asked for")


def remove(connection: Connection, reach: Reach, kind: str, job_id: str) -> None:
    """Delete an ended job with its events and result; spectra are kept.

    Raises NotFound, or Conflict where it runs or a plan still needs it.
    """
    job = get(connection, reach, kind, job_id)
    family = [job_id, *_children(connection, job_id)]
    if job["state"] not in ENDED:
        raise Conflict(f"{job_id} is {job['state']}; cancel it first")
    user = connection.scalar(
        select(jobs.c.id)
        .where(jobs.c.analysis_id.in_(family), jobs.c.id.not_in(family), jobs.c.state.not_in(ENDED))
        .limit(1)
    )
    if user is not None:
        raise Conflict(f"{job_id} is needed by {user}, which has not ended; cancel that first")
    connection.execute(delete(jobs).where(jobs.c.id.in_(family), jobs.c.state.in_(ENDED)))


@dataclass(frozen=True, slots=True)
class Count:
    """Spectra of a job: kept before it had units, done by its units, and wanted of these."""

    stored: int
    done: int = 0
    wanted: int = 0


def counted(connection: Connection, job_ids: Iterable[str]) -> dict[str, Count]:
    """How far each job is."""
    mine = (units.c.id == links.c.unit_id) & (units.c.kind == "matrices")
    rows = connection.execute(
        select(jobs.c.id, jobs.c.stored, func.sum(units.c.done), func.sum(units.c.size))
        .select_from(jobs.outerjoin(links).outerjoin(units, mine))
        .where(jobs.c.id.in_(list(job_ids)))
        .group_by(jobs.c.id, jobs.c.stored)
    )
    return {
        job_id: Count(stored, int(done or 0), int(wanted or 0))
        for job_id, stored, done, wanted in rows
    }
