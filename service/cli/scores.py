"""Scores of layers or modules from a file."""

from pathlib import Path
from typing import TYPE_CHECKING

from service.cli.files import read_input

if TYPE_CHECKING:
    from allocator.options import PlanOptions
    from allocator.subject import Subject


def read_scores(path: Path, order: str | None, options: "PlanOptions") -> "Subject":
    """What a plan is made for: a JSON list of numbers, or a .npy array in a named order.

    Raises CommandError, UnreadablePlan or InvalidRequest.
    """
    from allocator.forms.scores import score_subject, scores_of

    modules = options.modules
    names = [modules] if isinstance(modules, str) else modules
    return score_subject(scores_of(read_input(path), order, names), options)
