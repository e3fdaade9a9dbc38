"""Every screen of the page in every state, by the name of its picture."""

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from types import MappingProxyType

from tests.pages.stand import LONG, SHORT, Stand


@dataclass(frozen=True)
class Made:
    """Ids of jobs that the screens are of."""

    stand: Stand
    plan: str
    analysis: str
    matrix: str
    trained: str
    training: str
    comparison: str
    failed: str
    cancelled: str


SCREENS: Mapping[str, Callable[[Made], str]] = MappingProxyType(
    {
        "start": lambda made: "/",
        "start-estimate": lambda made: f"/?model={made.stand.minilm}&expert_budget=30",
        "start-gated": lambda made: "/?model=org/gated",
        "job-running": lambda made: f"/jobs/{made.training}",
        "job-succeeded": lambda made: f"/jobs/{made.plan}",
        "job-failed": lambda made: f"/jobs/{made.failed}",
        "job-cancelled": lambda made: f"/jobs/{made.cancelled}",
        "plan": lambda made: f"/plans/{made.plan}",
        "plan-beside": lambda made: (
            f"/plans/{made.plan}?shape=hourglass&budgets=true&stability=true"
        ),
        "plan-train": lambda made: f"/plans/{made.plan}/train",
        "analysis": lambda made: f"/analyses/{made.analysis}",
        "analysis-spectrum": lambda made: f"/analyses/{made.analysis}?matrix={made.matrix}",
        "training-running": lambda made: f"/trainings/{made.training}",
        "training-succeeded": lambda made: f"/trainings/{made.trained}",
        "comparison": lambda made: f"/comparisons/{made.comparison}",
        "history": lambda made: "/history",
        "history-empty": lambda made: "/history?status=cancelling",
        "keys-off": lambda made: "/keys",
        "about": lambda made: "/about",
        "not-found": lambda made: "/jobs/pln_0",
    }
)


@contextmanager
def making(stand: Stand) -> Iterator[Made]:
    """Jobs in every state; one that runs until the context ends."""
    stopped = stand.ask("plans", 0, model=str(stand.large), expert_budget=24)
    cancelled = stand.cancel(stand.until(stopped, lambda now: now["status"] == "running"))
    plan = stand.plan(stand.minilm, 30)
    matrix = stand.get(f"/v1/analyses/{plan['analysis_id']}/layers")["data"][0]["name"]
    failed = stand.plan(stand.damaged, 4)
    trained = stand.train(SHORT)
    compared = stand.compare(SHORT)
    training = stand.train(LONG, 0)
    stand.until(training, lambda now: now["progress"]["done"])
    yield Made(
        stand, plan["id"], plan["analysis_id"], matrix, trained["id"], training["id"],
        compared["id"], failed["id"], cancelled["id"],
    )  # fmt: skip
    stand.cancel(training)
