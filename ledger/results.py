"""The documents that jobs come to, and what they are looked up by."""

from sqlalchemy import Connection, select

from analyzer.report import Analysis
from ledger.artifacts import Artifacts
from ledger.insert import upsert
from ledger.parsed import PARSED
from ledger.tables import jobs, results


def put_result(
    connection: Connection, artifacts: Artifacts, job_id: str, document: str, digest: str | None
) -> None:
    """Keep the document of a job; `digest` is that of a plan."""
    artifact = artifacts.put(connection, document.encode())
    row = {"job_id": job_id, "artifact": artifact, "digest": digest}
    upsert(connection, results, row, key=["job_id"])


def get_result(connection: Connection, artifacts: Artifacts, job_id: str) -> str | None:
    """The document of a job; None where it has none yet. Raises DamagedArtifact."""
    artifact = connection.scalar(select(results.c.artifact).where(results.c.job_id == job_id))
    return None if artifact is None else artifacts.get(connection, artifact).decode()


def get_analysis(connection: Connection, artifacts: Artifacts, job_id: str) -> Analysis | None:
    """The document of an analysis, parsed; None where there is none yet. Raises DamagedArtifact."""
    artifact = result_artifact(connection, job_id)
    if artifact is None:
        return None
    return PARSED.get(Analysis, artifact, artifacts.get(connection, artifact))


def result_artifact(connection: Connection, job_id: str) -> str | None:
    """The sha256 of a job's document, which stands for all that it says."""
    return connection.scalar(select(results.c.artifact).where(results.c.job_id == job_id))


def measured_before(connection: Connection, owner: str, content_key: str) -> str | None:
    """The owner's newest finished analysis of this very content."""
    return connection.scalar(
        select(jobs.c.id)
        .where(
            jobs.c.owner == owner,
            jobs.c.content_key == content_key,
            jobs.c.kind == "analysis",
            jobs.c.state == "succeeded",
        )
        .order_by(jobs.c.id.desc())
        .limit(1)
    )
