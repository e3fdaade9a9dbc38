"""From a job's row to its envelope."""

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any
from urllib.parse import urlencode

from sqlalchemy import Connection

from ledger.access import Ledger
from ledger.clock import now
from ledger.jobs import Count, Job, counted, get
from ledger.reach import Reach
from ledger.results import result_artifact
from ledger.states import ENDED
from service.problems import TITLES

OBJECTS = {
    "plan": "plan", "analysis": "analysis", "outline": "model_info", "training": "training",
    "comparison": "comparison",
}  # fmt: skip
PATHS = {
    "plan": "/v1/plans", "analysis": "/v1/analyses", "outline": "/v1/model-info",
    "training": "/v1/trainings", "comparison": "/v1/comparisons",
}  # fmt: skip
UNITS = {"training": "steps", "comparison": "trainings"}
"""What those jobs count that count for themselves."""


@dataclass(frozen=True, slots=True)
class View:
    """A job as it is now, and what changes with it."""

    job: Job
    envelope: dict[str, Any]
    artifact: str | None

    @property
    def ended(self) -> bool:
        """Whether it will not change any more."""
        return self.job["state"] in ENDED

    @property
    def etag(self) -> str:
        """What stands for all that the answer says."""
        content = json.dumps([self.envelope, self.artifact], sort_keys=True, default=str)
        return f'"{hashlib.sha256(content.encode()).hexdigest()[:32]}"'

    @property
    def retry_after(self) -> int | None:
        """Seconds after which it pays to look again."""
        if self.ended:
            return None
        return 1 if self.envelope["progress"]["total"] < 100 else 3


def view(connection: Connection, reach: Reach, kind: str, job_id: str) -> View:
    """One job. Raises NotFound."""
    job = get(connection, reach, kind, job_id)
    (envelope,) = envelopes(connection, [job])
    return View(job, envelope, result_artifact(connection, job_id))


def envelopes(connection: Connection, found: Sequence[Job]) -> list[dict[str, Any]]:
    """The envelopes of jobs."""
    counts = counted(connection, [job["analysis_id"] or job["id"] for job in found])
    running = any(job["state"] == "running" for job in found)
    time = (connection.scalar(now().select()) if running else 0.0) or 0.0
    nothing = Count(0)  # the analysis was deleted
    return [
        _envelope(job, counts.get(job["analysis_id"] or job["id"], nothing), time) for job in found
    ]


def view_of(job: Job, count: Count, artifact: str) -> View:
    """A job that has ended, from what is known of it."""
    return View(job, _envelope(job, count, 0.0), artifact)


def _envelope(job: Job, count: Count, time: float) -> dict[str, Any]:
    request = {**job["request"]["words"]}
    path = f"{PATHS[job['kind']]}/{job['id']}"
    error = job["error"]
    links = _links(job, path)
    return {
        "id": job["id"],
        "object": OBJECTS[job["kind"]],
        "status": job["state"],
        "model": job["model"],
        "revision": job["revision"],
        "created_at": stamp(job["created_at"]),
        "started_at": stamp(job["started_at"]),
        "finished_at": stamp(job["finished_at"]),
        "attempt": job["attempt"],
        "progress": _progress(job, count, time),
        "error": error and {**error, "title": TITLES[error["code"]][1]},
        "metadata": job["labels"],
        "links": links,
        "request": request,
        **({"analysis_id": job["analysis_id"]} if job["kind"] == "plan" else {}),
    }


def _links(job: Job, path: str) -> dict[str, str]:
    kind, done = job["kind"], job["state"] == "succeeded"
    if kind == "outline":
        links = {"self": f"{PATHS['outline']}?{_query(job['request']['words'])}"}
    else:
        links = {"self": path, **_below(path, "events", "cancel", "retry")}
    if job["analysis_id"] is not None:
        links["analysis"] = f"{PATHS['analysis']}/{job['analysis_id']}"
    if kind == "training":
        links |= _below(path, "metrics", "checkpoints")
    for name in _ONCE_DONE.get(kind, ()) if done else ():
        links |= _below(path, name)
    return links


_ONCE_DONE = {"plan": ("export",), "analysis": ("document", "layers"), "training": ("adapter",)}


def _below(path: str, *names: str) -> dict[str, str]:
    return {name: f"{path}/{name}" for name in names}


def _query(words: dict[str, Any]) -> str:
    return urlencode({name: value for name, value in words.items() if value is not None})


def _progress(job: Job, count: Count, time: float) -> dict[str, Any]:
    before = count.stored
    done, total = before + min(count.done, count.wanted), before + count.wanted
    if job["kind"] in UNITS:
        before, done, total = job["stored"], job["done"] or 0, job["total"] or 0
    if job["state"] == "succeeded":
        done = total
    left = None
    if job["state"] == "running" and job["started_at"] and done > before:
        pace = (time - job["started_at"]) / (done - before)
        left = round(pace * (total - done), 1)
    return {
        "phase": job["phase"],
        "done": done,
        "total": total,
        "unit": UNITS.get(job["kind"], "spectra"),
        "fraction": round(done / total, 4) if total else None,
        "eta_seconds": left,
    }


def stamp(seconds: float | None) -> str | None:
    """RFC 3339 in UTC."""
    if seconds is None:
        return None
    text = datetime.fromtimestamp(seconds, UTC).isoformat(timespec="milliseconds")
    return text.replace("+00:00", "Z")


def document_text(ledger: Ledger, connection: Connection, found: View) -> str | None:
    """The JSON of the job's result; None until it is there."""
    if found.job["state"] != "succeeded" or found.artifact is None:
        return None
    return ledger.artifacts.get(connection, found.artifact).decode()
