"""From a dataset's row, or a registered file, to its document."""

from functools import lru_cache
from typing import Any, get_args
from urllib.parse import quote

from ledger.datasets import Dataset
from ledger.registered import Registered
from service.jobs.views import stamp
from trainer.dataset.columns import NEEDED, fits, task_of
from trainer.dataset.look import Format, Look, look
from trainer.errors import InvalidData

PATH = "/v1/datasets"


def uploaded_view(row: Dataset) -> dict[str, Any]:
    """The document of an uploaded dataset."""
    columns = row["columns"]
    form = next((form for form in NEEDED if columns and fits(form, columns)), None)
    return {
        "id": row["id"],
        "object": "dataset",
        "source": "uploaded",
        "name": row["name"],
        "format": row["format"],
        "bytes": row["bytes"],
        "sha256": row["artifact"],
        "columns": columns,
        "form": form,
        "task": form and task_of(form),
        "error": None,
        "created_at": stamp(row["created_at"]),
        "metadata": row["labels"],
        "links": {"self": f"{PATH}/{row['id']}"},
    }


def registered_view(found: Registered) -> dict[str, Any]:
    """The document of a registered one, whose first rows are looked at."""
    seen, error = None, None
    try:
        seen = _look(found)
    except InvalidData as wrong:
        error = str(wrong)
    return {
        "id": None,
        "object": "dataset",
        "source": "registered",
        "name": found.name,
        "format": found.format,
        "bytes": found.bytes,
        "sha256": None,
        "columns": seen and seen.columns and list(seen.columns),
        "form": seen and seen.form,
        "task": seen and seen.task,
        "error": error,
        "created_at": stamp(found.changed_at),
        "metadata": {},
        "links": {"self": f"{PATH}/{quote(found.name, safe='')}"},
    }


@lru_cache(maxsize=1000)
def _look(found: Registered) -> Look:
    """Kept for as long as the file stays as it is. Raises InvalidData."""
    kind = next(name for name in get_args(Format) if name == found.format)
    return look(found.path, kind, found.name, whole=False)
