"""Figures of a service's jobs: their numbers are fetched, and drawn here."""

import re
from collections.abc import Sequence
from typing import TYPE_CHECKING

from service.cli.failures import CommandError
from service.figures.figure import Figure

if TYPE_CHECKING:
    from service.cli.plotting import Words

_ID = re.compile(r"(pln|ana|trn|cmp)_[0-9a-f]{32}")
_PATHS = {
    "plan": "/v1/plans", "analysis": "/v1/analyses", "training": "/v1/trainings",
    "comparison": "/v1/comparisons",
}  # fmt: skip


def are_jobs(sources: Sequence[str]) -> bool:
    """Whether a figure is of jobs of a service. Raises CommandError where some are and some not."""
    found = [_ID.fullmatch(source) is not None for source in sources]
    if any(found) and not all(found):
        raise CommandError("name files, or ids of jobs of a service, not both")
    return all(found)


def fetch_figure(kind: str, sources: Sequence[str], words: "Words") -> Figure:
    """The figure as the service that TAILORA_URL names makes it.

    Raises CommandError without one or for jobs of another kind, ClientError.
    """
    from service.cli.jobsource import kind_of
    from service.cli.remote import service, wants_service
    from service.figures.catalogue import source_of

    wanted = source_of(kind)
    if not wants_service():
        raise CommandError(f"{sources[0]} is a job; set TAILORA_URL to the service that has it")
    for source in sources:
        if kind_of(source) != wanted:
            raise CommandError(f"{kind} is made from a job of kind {wanted}, which {source} is not")
    first, *others = sources
    with service() as server:
        answer = server.get(
            f"{_PATHS[wanted]}/{first}/figures/{kind}", **_parameters(kind, others, words)
        )
        return answer.read(Figure)


def _parameters(
    kind: str, others: list[str], words: "Words"
) -> dict[str, str | int | list[str] | None]:
    spectrum: dict[str, str | int | list[str] | None] = {"bins": words.bins}
    own: dict[str, dict[str, str | int | list[str] | None]] = {
        "esd": {**spectrum, "matrix": words.matrix, "mp": str(words.marchenko_pastur).lower()},
        "esds": {**spectrum, "layer": words.layer, "stack": words.stack},
        "checkpoints": {"with": others},
        "plans": {"with": others},
        "experts": {"shape": list(words.shapes)},
        "load": {"step": words.step, "module": words.module},
    }
    return own.get(kind, {})
