"""What a recipe is made of, from words that were typed."""

import json
from typing import TYPE_CHECKING, Any

from service.cli.failures import CommandError

if TYPE_CHECKING:
    from allocator.plan import Plan
    from trainer.recipe import Task


def changes_of(texts: list[str]) -> dict[str, Any]:
    """Fields and values of `--set`. Raises CommandError."""
    return dict(change_of(text) for text in texts)


def change_of(text: str) -> tuple[str, Any]:
    """FIELD=VALUE; a value that is no JSON is text. Raises CommandError."""
    name, equals, value = text.partition("=")
    if not equals:
        raise CommandError(f"--set {text} has no value; write --set schedule.steps=100")
    try:
        return name, json.loads(value)
    except ValueError:
        return name, value


def base_of(plan: "Plan", model: str | None) -> dict[str, Any]:
    """The base section: the plan's model at its commit, or the one that was named."""
    return {
        "path": model or plan.model,
        "revision": None if model else plan.revision,
        "weights": plan.weights,
    }


def task_of_data(place: str) -> "Task":
    """The task that follows from a file's columns. Raises InvalidData."""
    from trainer.dataset.columns import task_of
    from trainer.dataset.peek import form_at

    return task_of(form_at(place))
