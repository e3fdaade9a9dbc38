"""Make the document of a job whose spectra are all kept: in any process, without torch."""

import json
from collections.abc import Iterable
from typing import Any

from sqlalchemy import Connection, or_, select, update

from allocator.evidence import NOTHING, Evidence, gather
from allocator.plan import Plan
from allocator.planner import make_plan
from analyzer.analyze import analyze
from analyzer.api import with_estimate, with_hashes
from analyzer.errors import CorruptFile
from analyzer.report import Analysis, Provenance
from analyzer.source import Source
from ledger.access import Ledger
from ledger.clock import now
from ledger.errors import DamagedArtifact
from ledger.jobs import Job, by_id
from ledger.outlines import KnownModel, get_outline
from ledger.recovery import LOST
from ledger.results import get_analysis, put_result
from ledger.settle import fail_job, finish_job
from ledger.spectra import LedgerStore
from ledger.states import LIVE
from ledger.tables import jobs, links, units
from worker import segments
from worker.codes import EXPECTED, error_of
from worker.errors import Unmeasured
from worker.passes import Pass, passes_of
from worker.sources import known_source
from worker.steps import analysis_words, begin, place_of, plan_words

ATTEMPTS = 5
LEASE = 120.0


def assemble_all(ledger: Ledger, job_ids: Iterable[str]) -> None:
    """Assemble jobs that are ready, and the plans that waited for them."""
    waiting = list(job_ids)
    while waiting:
        waiting += assemble(ledger, waiting.pop(0))


def assemble(ledger: Ledger, job_id: str) -> list[str]:
    """Make a ready job's document and end the job; the jobs that are ready because of it.

    Several processes may try: one of them gets it, for two minutes.
    """
    with ledger.database.write() as connection:
        job = _take(connection, job_id)
        if job is not None and job["assemblies"] > ATTEMPTS:
            fail_job(connection, job_id, LOST)
            return []
    if job is None:
        return []
    try:
        document, digest = _document(ledger, job)
    except Unmeasured:
        return _measure_again(ledger, job)
    except EXPECTED as error:
        _fail(ledger, job_id, error)
        return []
    except Exception as error:
        if job["assemblies"] >= ATTEMPTS:
            _fail(ledger, job_id, error)
        raise
    with ledger.database.write() as connection:
        if not finish_job(connection, job_id, "succeeded", f"the {job['kind']} is there"):
            return []
        put_result(connection, ledger.artifacts, job_id, document, digest)
        return _ready_plans(connection, job_id)


def _take(connection: Connection, job_id: str) -> Job | None:
    free = or_(jobs.c.assemble_until.is_(None), jobs.c.assemble_until < now())
    found = connection.execute(
        update(jobs)
        .where(jobs.c.id == job_id, jobs.c.state.in_(LIVE), jobs.c.phase == "assembling", free)
        .values(assemble_until=now() + LEASE, assemblies=jobs.c.assemblies + 1)
    )
    return by_id(connection, job_id) if found.rowcount else None


def _fail(ledger: Ledger, job_id: str, error: Exception) -> None:
    with ledger.database.write() as connection:
        fail_job(connection, job_id, error_of(error))


def _measure_again(ledger: Ledger, job: Job) -> list[str]:
    """Spectra were pruned or dropped meanwhile: the job gets units for them."""
    with ledger.database.write() as connection:
        if job["assemblies"] >= ATTEMPTS:
            error = Unmeasured("its spectra vanish as soon as they are kept; check the disk, retry")
            fail_job(connection, job["id"], error_of(error))
            return []
        ours = connection.execute(
            update(jobs)
            .where(jobs.c.id == job["id"], jobs.c.phase == "assembling", jobs.c.state.in_(LIVE))
            .values(phase="outline", assemble_until=None)
        )
        if ours.rowcount == 0:
            return []
        return [job["id"]] if begin(connection, ledger, job["id"]) else []


def _ready_plans(connection: Connection, analysis_id: str) -> list[str]:
    waiting = select(jobs.c.id).where(
        jobs.c.analysis_id == analysis_id, jobs.c.phase == "waiting", jobs.c.state.in_(LIVE)
    )
    ready = connection.scalars(
        update(jobs)
        .where(jobs.c.id.in_(waiting))
        .values(phase="assembling", state="running", assemble_until=None)
        .returning(jobs.c.id)
    )
    return list(ready)


def _document(ledger: Ledger, job: Job) -> tuple[str, str | None]:
    """The JSON document of a job, and its digest where it is a plan."""
    if job["kind"] in segments.KINDS:
        return _result(ledger, job), None
    with ledger.database.read() as connection:
        known = get_outline(connection, ledger.artifacts, job["outline_key"])
    if known is None:
        raise Unmeasured(f"the outline of {job['model']} is not kept any more")
    model = place_of(job).model
    known = KnownModel(
        known.outline.model_copy(update={"model": model}), known.files, known.warnings
    )
    source = known_source(known, model)
    if job["kind"] == "outline":
        return with_estimate(known.outline, source).model_dump_json(indent=2), None
    if job["kind"] == "analysis":
        return _analysis(ledger, job, known, source).model_dump_json(indent=2), None
    plan = _plan(ledger, job, known, source)
    return plan.to_json(), plan.digest


def _result(ledger: Ledger, job: Job) -> str:
    """What the last segment of a training came to."""
    with ledger.database.read() as connection:
        reports = _reports(connection, job["id"])
    return json.dumps(reports[-1]["result"], indent=2)


def _analysis(ledger: Ledger, job: Job, known: KnownModel, source: Source) -> Analysis:
    words, store = analysis_words(job), ledger.store()
    found = passes_of(words, known.outline)
    with ledger.database.read() as connection:
        reports = _reports(connection, job["id"])
    sums = {name: sha256 for each in reports for name, sha256 in each.get("sums", {}).items()}
    for each in found:
        _confirm(each, source, store, known, sums)
    analysis = analyze(source, words.options(), store=store, outline=known.outline)
    return analysis.model_copy(update={"provenance": _provenance(analysis.provenance, reports)})


def _confirm(
    each: Pass, source: Source, store: LedgerStore, known: KnownModel, sums: dict[str, str]
) -> None:
    """Spectra whose files were hashed since count as checked. Raises CorruptFile, Unmeasured."""
    hashes = {file: found.sha256 for file, found in known.files.items()}
    lookup = each.lookup(source, store, hashes)
    store.preload(key for matrix in each.matrices for key in lookup.keys(matrix))
    wrong = []
    for matrix in lookup.pending(each.matrices).provisional:
        found = lookup.unchecked(matrix)
        if found is None or matrix.name not in sums:
            continue
        key, stored = found
        if stored.tensor_sha256 == sums[matrix.name]:
            store.confirm(key, stored.tensor_sha256)
        else:
            store.forget(key)
            wrong.append(matrix.name)
    if wrong:
        raise CorruptFile(
            f"{wrong[0]} was read in ranges with other bytes than its commit names; what came from "
            "them is not kept, retry the job"
        )
    store.preload(key for matrix in each.matrices for key in lookup.keys(matrix))
    left = lookup.pending(each.matrices)
    if left.unread or left.provisional:
        raise Unmeasured(f"{len(left.unread) + len(left.provisional)} spectra are missing")


def _reports(connection: Connection, job_id: str) -> list[dict[str, Any]]:
    rows = connection.scalars(
        select(units.c.report)
        .join(links, links.c.unit_id == units.c.id)
        .where(links.c.job_id == job_id, units.c.report.is_not(None))
        .order_by(units.c.finished_at)
    )
    return [report for report in rows if report]


def _provenance(own: Provenance, reports: list[dict[str, Any]]) -> Provenance:
    """What the workers say of their part, put together."""
    solving = [report for report in reports if report.get("solved")]
    if not solving:
        return own
    read: dict[str, int] = {}
    for report in reports:
        for origin, count in report.get("bytes_read", {}).items():
            read[origin] = read.get(origin, 0) + count
    solved = sum(report["solved"] for report in solving)
    first = solving[0]
    return own.model_copy(
        update={
            "torch": first["torch"],
            "device": ", ".join(sorted({report["device"] for report in solving})),
            "threads": first["threads"],
            "bytes_read": read,
            "spectra_solved": solved,
            "spectra_reused": max(0, own.spectra_reused - solved),
            "started_at": min(report["started_at"] for report in solving),
            "seconds": round(sum(report["seconds"] for report in solving), 3),
        }
    )


def _plan(ledger: Ledger, job: Job, known: KnownModel, source: Source) -> Plan:
    options = plan_words(job).plan_options()
    if job["analysis_id"] is None:
        return make_plan(with_hashes(known.outline, source), options)
    analysis = _measured(ledger, job["analysis_id"], known, source)
    analysis = analysis.model_copy(update={"model": place_of(job).model})
    words = plan_words(job).analysis()
    evidence: Evidence = NOTHING
    if set(words.questions().kinds) != {"estimators"}:
        store = ledger.store()
        evidence = gather(
            source, words.options(), words.questions(), store=store, outline=known.outline
        )
    return make_plan(analysis, options, evidence)


def _measured(ledger: Ledger, analysis_id: str, known: KnownModel, source: Source) -> Analysis:
    """The document of a finished analysis, made again where it was damaged. Raises Unmeasured."""
    with ledger.database.read() as connection:
        job = by_id(connection, analysis_id)
        try:
            analysis = get_analysis(connection, ledger.artifacts, analysis_id)
        except DamagedArtifact:
            analysis = None
    if job is None:
        raise Unmeasured(f"analysis {analysis_id} is gone")
    if analysis is not None:
        return analysis
    analysis = _analysis(ledger, job, known, source)
    with ledger.database.write() as connection:
        text = analysis.model_dump_json(indent=2)
        put_result(connection, ledger.artifacts, analysis_id, text, None)
    return analysis
