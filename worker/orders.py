"""What a training's process is told, from the job that asked for it."""

import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from analyzer.text import shown
from ledger.access import Ledger
from ledger.jobs import Job
from ledger.registered import find
from ledger.roots import allowed
from ledger.runs import list_files
from trainer.errors import InvalidData
from worker.run import ORDER
from worker.steps import place_of

INPUTS = "in/"
PLANS, DATA = "in/plan-{}.json", "in/{}"
"""Names of a job's files that it starts from."""


@dataclass(frozen=True, slots=True)
class Source:
    """Data of a training: an upload by its sha256, or one that the operator registered by name."""

    name: str
    format: str
    id: str | None = None
    sha256: str | None = None
    bytes: int = 0

    def as_json(self) -> dict[str, Any]:
        """As a job's request keeps it."""
        return asdict(self)


def write_order(ledger: Ledger, job: Job, folder: Path) -> None:
    """Put `order.json` into a run's folder, and the data that it names.

    Raises PathNotAllowed, ModelNotFound, DamagedArtifact, StoreError or InvalidData.
    """
    folder.mkdir(parents=True, exist_ok=True)
    request, words = job["request"], job["request"]["words"]
    with ledger.database.read() as connection:
        found = list_files(connection, job["id"], INPUTS)
        names = [file["artifact"] for file in found if file["name"].startswith(f"{INPUTS}plan-")]
        plans = [json.loads(ledger.artifacts.get(connection, name)) for name in names]
    data = {name: _placed(ledger, Source(**words), folder / name)
            for name, words in request["data"].items()}  # fmt: skip
    order = {
        "kind": job["kind"],
        "plans": plans,
        "base": {**_base(ledger, job), "weights": plans[0]["weights"]},
        "data": data,
        "words": words,
    }
    (folder / ORDER).write_text(json.dumps(order), encoding="utf-8")


def _base(ledger: Ledger, job: Job) -> dict[str, Any]:
    place = place_of(job)
    if place.path is not None:
        path = allowed(place.path, ledger.settings.roots, everything=True)
        return {"path": str(path), "revision": None}
    return {"path": place.repository, "revision": place.commit}


def _placed(ledger: Ledger, source: Source, place: Path) -> str:
    """Where data can be read; a name of its own tells its format."""
    if source.sha256 is not None:
        file = place.with_name(f"{place.name}.{source.format}")
        return str(ledger.artifacts.file_of(ledger.database, source.sha256, file))
    found = find(ledger.settings.dataset_roots, source.name)
    if found is None:
        raise InvalidData(
            f"there is no registered dataset {shown(source.name)} any more; list what there is"
        )
    return str(found.path)
