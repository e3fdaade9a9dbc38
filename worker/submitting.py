"""Accept a request: job, units, events and idempotency key in one transaction, or nothing."""

from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field, replace

import structlog
from sqlalchemy import Connection

from allocator.methods import method_named
from ledger import idempotency, quotas
from ledger.access import Ledger
from ledger.done import Made, create_done, made_before
from ledger.errors import Conflict
from ledger.idempotency import Replay
from ledger.jobs import Job, NewJob, create, get_locked
from ledger.reach import Reach
from ledger.results import measured_before
from ledger.states import LIVE
from ledger.tables import jobs
from worker.assembling import assemble_all
from worker.passes import content_key, plan_key
from worker.requests import AnalysisWords, PlanWords, Request
from worker.sources import Place
from worker.steps import begin

ACCEPTED, CREATED, FOUND = 202, 201, 200

log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class Key:
    """An idempotency key, and what stands for the request that it came with."""

    text: str
    body_hash: str


@dataclass(frozen=True, slots=True)
class Submission:
    """Who asks for what, of which pinned model."""

    kind: str
    owner: str
    """Whose job it will be."""

    place: Place
    outline_key: str
    words: Request
    labels: Mapping[str, str] = field(default_factory=dict)
    key: Key | None = None
    analysis_id: str | None = None
    """Of an analysis to make a plan from; by default the plan gets one of its own."""

    reads: Reach | None = None
    """Where that analysis may be; by default among the owner's."""

    limited: bool = False
    """Whether the owner's quotas hold."""


@dataclass(frozen=True, slots=True)
class Submitted:
    """The job, the status to answer with, and whether it was there before."""

    job_id: str
    status: int
    replayed: bool = False
    job: Job | None = field(default=None, repr=False)
    """The row of one that was done at once, since its like was there."""

    made: Made | None = None


def submit(ledger: Ledger, asked: Submission) -> Submitted:
    """Accept a request; one whose spectra are all kept is done at once.

    Raises KeyReused, QuotaExceeded, NotFound, Conflict or DatabaseUnavailable.
    """
    ready: list[str] = []

    def make(connection: Connection) -> Submitted:
        ready.clear()
        made = _made(connection, asked)
        if made is not None:
            job = create_done(connection, _row(asked, asked.words), made)
            return Submitted(job["id"], CREATED, job=job, made=made)
        job_id = _create(connection, ledger, asked, ready)
        return Submitted(job_id, CREATED if ready else ACCEPTED)

    done = once(ledger, asked.owner, asked.key, make, limited=asked.limited)
    if not done.replayed:
        assemble_now(ledger, ready)
    return done


def assemble_now(ledger: Ledger, ready: list[str]) -> None:
    """The job is accepted, so nothing that happens now is the caller's: the reaper tries again."""
    try:
        assemble_all(ledger, ready)
    except Exception:
        log.exception("assembling_failed", jobs=ready)


class _Raced(Exception):
    """Another request with the same idempotency key was a moment faster."""


def once(
    ledger: Ledger,
    owner: str,
    key: Key | None,
    make: Callable[[Connection], Submitted],
    *,
    limited: bool,
) -> Submitted:
    """What `make` writes, in one transaction with quota and idempotency key; or what it once wrote.

    Raises KeyReused, QuotaExceeded, DatabaseUnavailable, and what `make` raises.
    """
    try:
        return _once(ledger, owner, key, make, limited)
    except _Raced:
        return _once(ledger, owner, key, make, limited)


def _once(
    ledger: Ledger,
    owner: str,
    key: Key | None,
    make: Callable[[Connection], Submitted],
    limited: bool,
) -> Submitted:
    with ledger.database.write() as connection:
        if key is not None:
            before = idempotency.recall(connection, owner, key.text, key.body_hash)
            if before is not None:
                return Submitted(before.job_id, before.status, replayed=True)
        if limited:
            quotas.take(connection, ledger.settings, owner)
        done = make(connection)
        if key is not None:
            replay = Replay(done.job_id, done.status)
            if not idempotency.remember(connection, owner, key.text, key.body_hash, replay):
                raise _Raced
    return done


def _made(connection: Connection, asked: Submission) -> Made | None:
    """A plan of the owner that says the same."""
    if not isinstance(asked.words, PlanWords) or asked.analysis_id is not None:
        return None
    key = plan_key(asked.outline_key, asked.words, asked.place.model)
    return made_before(connection, asked.owner, key)


def _create(connection: Connection, ledger: Ledger, asked: Submission, ready: list[str]) -> str:
    """The job's rows; what can be assembled at once goes into `ready`, in order."""
    if isinstance(asked.words, PlanWords):
        return _create_plan(connection, ledger, asked, asked.words, ready)
    job_id = create(connection, _row(asked, asked.words))
    if begin(connection, ledger, job_id):
        ready.append(job_id)
    return job_id


def _create_plan(
    connection: Connection,
    ledger: Ledger,
    asked: Submission,
    words: PlanWords,
    ready: list[str],
) -> str:
    if not method_named(words.method).needs_values:
        job_id = create(connection, _row(asked, words))
        if begin(connection, ledger, job_id):
            ready.append(job_id)
        return job_id
    measuring = words.analysis()
    if asked.analysis_id is not None:
        return _plan_from(connection, asked, words, asked.analysis_id, ready)
    key = content_key(asked.outline_key, measuring)
    before = measured_before(connection, asked.owner, key)
    if before is not None:
        return _plan_from(connection, asked, words, before, ready)
    plan_id = create(connection, _row(asked, words, phase="waiting"))
    inner = replace(asked, kind="analysis", words=measuring)
    analysis_id = create(connection, _row(inner, measuring, parent_id=plan_id))
    connection.execute(jobs.update().where(jobs.c.id == plan_id).values(analysis_id=analysis_id))
    if begin(connection, ledger, analysis_id):
        ready.append(analysis_id)
    return plan_id


def _plan_from(
    connection: Connection,
    asked: Submission,
    words: PlanWords,
    analysis_id: str,
    ready: list[str],
) -> str:
    """A plan from an analysis that is there, or that is still running."""
    reads = asked.reads or Reach(asked.owner, asked.place.restricted)
    analysis = get_locked(connection, reads, "analysis", analysis_id)
    if analysis["state"] not in ("succeeded", *LIVE):
        raise Conflict(f"{analysis_id} is {analysis['state']}; retry it, or name a model")
    done = analysis["state"] == "succeeded"
    phase = "assembling" if done else "waiting"
    job_id = create(connection, _row(asked, words, analysis_id=analysis_id, phase=phase))
    if done:
        ready.append(job_id)
    return job_id


def _row(
    asked: Submission,
    words: Request,
    *,
    analysis_id: str | None = None,
    parent_id: str | None = None,
    phase: str = "outline",
) -> NewJob:
    content = None
    if isinstance(words, AnalysisWords):
        content = content_key(asked.outline_key, words)
    elif isinstance(words, PlanWords) and asked.analysis_id is None:
        content = plan_key(asked.outline_key, words, asked.place.model)
    return NewJob(
        kind=asked.kind,
        owner=asked.owner,
        request={"place": asdict(asked.place), "words": words.model_dump(mode="json")},
        model=asked.place.model,
        revision=asked.place.commit,
        outline_key=asked.outline_key,
        labels=asked.labels,
        content_key=content,
        analysis_id=analysis_id,
        parent_id=parent_id,
        phase=phase,
        restricted=asked.place.restricted,
    )
