"""What an adapter was trained as, kept beside it: `origin.json`. No torch."""

from pathlib import Path
from typing import Literal

from pydantic import Field

from analyzer.outline import Document
from analyzer.text import shown
from trainer.errors import BadAdapter
from trainer.recipe import Base, Recipe, Task

ORIGIN = "origin.json"


class Origin(Document):
    """What somebody who loads an adapter has to know. `tailora.origin/1`."""

    schema_id: Literal["tailora.origin/1"] = Field("tailora.origin/1", alias="schema")
    task: Task
    labels: tuple[str, ...] | None = Field(
        description="classes in the head's order; null unless the task is classification"
    )
    base: Base
    length: int = Field(description="tokens of a sample at most")
    recipe: str = Field(description="digest of the recipe")


def save_origin(folder: Path, recipe: Recipe, labels: tuple[str, ...] | None) -> None:
    """Write it beside an adapter."""
    found = Origin(
        task=recipe.task,
        labels=labels,
        base=recipe.base,
        length=recipe.data.length,
        recipe=recipe.digest,
    )
    (folder / ORIGIN).write_text(found.model_dump_json(indent=2) + "\n", encoding="utf-8")


def read_origin(folder: Path) -> Origin | None:
    """That of an adapter; None where `tailora train` did not make it. Raises BadAdapter."""
    try:
        return Origin.model_validate_json((folder / ORIGIN).read_bytes())
    except FileNotFoundError:
        return None
    except (OSError, ValueError) as error:
        raise BadAdapter(
            f"{ORIGIN} of {shown(folder)} cannot be read; restore the file, or train anew"
        ) from error
