"""What a training's process is told, from the job that asked for it."""

import json
import shutil
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from allocator.plan import Plan
from analyzer.text import shown
from ledger.access import Ledger
from ledger.jobs import Job
from ledger.registered import find
from ledger.roots import allowed
from ledger.runs import list_files
from trainer.errors import InvalidData
from trainer.presets import UNREAD, make_recipe
from worker.run import ORDER
from worker.steps import place_of

INPUTS = "in/"
PLANS, DATA = "in/plan-{}.json", "in/{}"
"""Names of a job's files that it starts from."""

DATA_FOLDER = "data"


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


def write_order(ledger: Ledger, job: Job, folder: Path) -> dict[str, Any]:
    """Put `order.json` into a run's folder, and the data that it names; the order.

    Raises PathNotAllowed, ModelNotFound, DamagedArtifact, StoreError or InvalidData.
    """
    request, words = job["request"], job["request"]["words"]
    with ledger.database.read() as connection:
        found = list_files(connection, job["id"], INPUTS)
        names = [file["artifact"] for file in found if file["name"].startswith(f"{INPUTS}plan-")]
        plans = [json.loads(ledger.artifacts.get(connection, name)) for name in names]
    shutil.rmtree(folder / DATA_FOLDER, ignore_errors=True)
    (folder / DATA_FOLDER).mkdir(parents=True)
    data = {name: _placed(ledger, Source(**words), folder, name)
            for name, words in request["data"].items()}  # fmt: skip
    order = {
        "kind": job["kind"],
        "plans": plans,
        "base": {**_base(ledger, job), "weights": plans[0]["weights"]},
        "data": data,
        "words": words,
    }
    (folder / ORDER).write_text(json.dumps(order), encoding="utf-8")
    return order


def at_once(order: dict[str, Any], devices: int) -> int:
    """How many of so many devices a training can share its steps among; a comparison has one."""
    if order["kind"] == "comparison":
        return 1
    plan, words = Plan.model_validate(order["plans"][0]), order["words"]
    recipe = make_recipe(
        plan,
        task="language",
        base=order["base"],
        data={**order["data"], "sums": (UNREAD,)},
        preset=words["preset"],
        changes=words["settings"],
    )
    passes = recipe.schedule.batch // recipe.schedule.micro_batch
    return max(count for count in range(1, devices + 1) if passes % count == 0)


def _base(ledger: Ledger, job: Job) -> dict[str, Any]:
    place = place_of(job)
    if place.path is not None:
        path = allowed(place.path, ledger.settings.roots, everything=True)
        return {"path": str(path), "revision": None}
    return {"path": place.repository, "revision": place.commit}


def _placed(ledger: Ledger, source: Source, folder: Path, name: str) -> str:
    """Where data can be read, below the folder: its name tells its format, and nothing else."""
    ending = "" if source.format == "folder" else f".{source.format}"
    place = folder / DATA_FOLDER / f"{name}{ending}"
    if source.sha256 is not None:
        ledger.artifacts.file_of(ledger.database, source.sha256, place)
    else:
        found = find(ledger.settings.dataset_roots, source.name)
        if found is None:
            raise InvalidData(
                f"there is no registered dataset {shown(source.name)} any more; list what there is"
            )
        place.symlink_to(found.path)
    return str(place.relative_to(folder))
