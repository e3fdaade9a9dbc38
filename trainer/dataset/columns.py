"""Which form of data the columns have, and which task it is for."""

from collections.abc import Iterable
from typing import Literal

from analyzer.text import listed
from trainer.errors import InvalidData
from trainer.recipe import Task

Form = Literal["chat", "completion", "instruction", "choice", "classification", "text"]

NEEDED: dict[Form, tuple[str, ...]] = {
    "chat": ("messages",),
    "completion": ("prompt", "completion"),
    "instruction": ("instruction", "output"),
    "choice": ("question", "choices", "answer"),
    "classification": ("text", "label"),
    "text": ("text",),
}
"""Columns of each form. Where several fit, the first counts; other columns are passed over."""

_TASKS: dict[Form, Task] = {"choice": "choice", "classification": "classification"}


def form_of(columns: Iterable[str], task: Task | None = None, place: str = "the data") -> Form:
    """The first form that the columns have; with a task, the first that is for it.

    Raises InvalidData, with the columns found and those that work, where there is none.
    """
    found = list(columns)
    forms: list[Form] = [form for form in NEEDED if task in (None, task_of(form))]
    for form in forms:
        if fits(form, found):
            return form
    wanted = "; or ".join(_words(form) for form in forms)
    purpose = "" if task is None else f" for the task {task}"
    raise InvalidData(
        f"{place} has the columns {listed(found) or '(none)'}; "
        f"what can be trained on{purpose}: {wanted}"
    )


def fits(form: Form, columns: Iterable[str]) -> bool:
    """Whether the columns of the form are among these."""
    return set(NEEDED[form]) <= set(columns)


def task_of(form: Form) -> Task:
    """What a model learns from data of this form."""
    return _TASKS.get(form, "language")


def _words(form: Form) -> str:
    columns = " + ".join(NEEDED[form])
    return f"{columns} (and input)" if form == "instruction" else columns
