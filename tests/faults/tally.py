"""What a run came to, counted from the database and the logs of its processes."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields

from ledger.states import ENDED
from tests.faults.cluster import Cluster
from tests.faults.rows import Row
from tests.faults.scale import Run

ONCE = ("started", "outlined", "planned", "measured", *ENDED)
"""Events that a job has at most once."""


@dataclass(frozen=True, slots=True)
class Tally:
    """Jepsen's four counts of a run, and what else is asked of it."""

    row: str
    run: str
    lost: int
    """Matrices without a spectrum, and jobs that did not succeed."""

    unexpected: int
    """Spectra, jobs and events that nobody asked for."""

    duplicated: int
    """Units that ended twice or were taken from a living lease, solves without a start of their
    unit, events and results that a job has twice."""

    recovered: int
    """Units that are done and were started more than once."""

    starts: int
    results: int
    equal: bool
    """Every spectrum has the bytes of the undisturbed run."""

    fired: int
    wall: float
    """Seconds from the first submission to the last end, by the database's clock."""

    calm: float
    """The same, undisturbed."""

    def __str__(self) -> str:
        words = (f"{field.name} {_word(getattr(self, field.name))}" for field in fields(self)[2:])
        return f"{self.row}, {self.run}: " + ", ".join(words)

    @property
    def is_clean(self) -> bool:
        return not (self.lost or self.unexpected or self.duplicated) and self.equal

    def cells(self) -> list[str]:
        """Its line of a table."""
        return [_word(getattr(self, name)) for name in COLUMNS]


COLUMNS = tuple(field.name for field in fields(Tally))


@dataclass(frozen=True, slots=True)
class Calm:
    """The undisturbed run: the bytes of every spectrum, and how long it took."""

    artifacts: dict[str, str]
    models: dict[str, str]
    """Which model each spectrum is of."""

    wall: float


def count(
    cluster: Cluster,
    run: Run,
    row: str,
    *,
    calm: Calm,
    plans: Sequence[str],
    fired: int,
    failed: Sequence[str] = (),
    alike: Mapping[str, str] | None = None,
) -> Tally:
    """Count what became of these plans; `failed` are expected to be so.

    `alike` are models that hold the matrices of others.
    """
    jobs, spectra, units = cluster.rows.jobs(), cluster.rows.spectra(), cluster.rows.units()
    asked = {id: job for id, job in jobs.items() if id in plans or job["parent_id"] in plans}
    models = {(alike or {}).get(job["model"], job["model"]) for job in asked.values()}
    wanted = {digest for digest, model in calm.models.items() if model in models}
    unsuccessful = [id for id in plans if jobs.get(id, {}).get("state") != "succeeded"]
    equal = all(spectra[d]["artifact"] == calm.artifacts[d] for d in wanted & spectra.keys())
    events = {job_id: cluster.rows.events(job_id) for job_id in jobs}
    return Tally(
        row=row,
        run=str(run),
        lost=len(wanted - spectra.keys()) + len(set(unsuccessful) - set(failed)),
        unexpected=len(spectra.keys() - wanted) + len(jobs.keys() - asked.keys())
        + sum(map(_surplus, events.values())),
        duplicated=_duplicated(cluster, units) + sum(map(_twice, events.values())),
        recovered=sum(unit["state"] == "done" and unit["attempt"] > 1 for unit in units),
        starts=sum(unit["attempt"] for unit in units),
        results=len(spectra),
        equal=equal,
        fired=fired,
        wall=wall([job for job in asked.values()]),
        calm=calm.wall,
    )  # fmt: skip


def wall(jobs: Sequence[Row]) -> float:
    """Seconds from the first submission to the last end."""
    return max(job["finished_at"] or 0.0 for job in jobs) - min(job["created_at"] for job in jobs)


def _duplicated(cluster: Cluster, units: Sequence[Row]) -> int:
    """Forbidden writes, and solves for which there is no start."""
    allowed: Counter[str] = Counter()
    for unit in units:
        for name in unit["payload"]["matrices"]:
            allowed[name] += unit["attempt"]
    too_many = Counter(cluster.solves()) - allowed
    return too_many.total() + sum(change.is_forbidden for change in cluster.rows.changes())


def _twice(events: Sequence[Row]) -> int:
    kinds = Counter(event["type"] for event in events)
    return sum(max(0, kinds[kind] - 1) for kind in ONCE)


def _surplus(events: Sequence[Row]) -> int:
    """Events after the end, or numbers that are missing."""
    last = next((event["seq"] for event in events if event["type"] in ENDED), len(events))
    return abs(len(events) - last) + (events[-1]["seq"] != len(events) if events else 0)


def _word(value: object) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    return f"{value:.1f}" if isinstance(value, float) else str(value)
