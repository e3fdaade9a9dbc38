"""How large a run is: a small one for every change, and the full one of `make soak`."""

from dataclasses import dataclass
from typing import Literal

Kind = Literal["postgres", "sqlite"]


@dataclass(frozen=True, slots=True)
class Scale:
    """Sizes and counts of one scale; times are in seconds."""

    name: str
    matrices: int
    side: int
    pause: float
    """Before each solve, in which a kill leaves a unit undone and no processor is busy."""

    child_kills: int
    worker_kills: int
    redis_kills: int
    redis_flushes: int
    outage: float
    silence: float
    submissions: int
    """While Redis is away or silent, each of a tiny model of its own."""

    repeats: int
    """Submissions whose answers may be lost, each with an Idempotency-Key."""

    postgres_stops: int
    served: int
    served_side: int
    """Matrices of the model during which everything is killed."""

    @property
    def layers(self) -> int:
        """Of the main model."""
        return self.matrices // 4


CI = Scale(
    name="ci",
    matrices=60,
    side=512,
    pause=0.25,
    child_kills=3,
    worker_kills=2,
    redis_kills=2,
    redis_flushes=2,
    outage=6.0,
    silence=14.0,
    submissions=10,
    repeats=30,
    postgres_stops=2,
    served=80,
    served_side=1536,
)

SOAK = Scale(
    name="soak",
    matrices=200,
    side=1024,
    pause=0.4,
    child_kills=20,
    worker_kills=20,
    redis_kills=4,
    redis_flushes=4,
    outage=60.0,
    silence=60.0,
    submissions=100,
    repeats=100,
    postgres_stops=3,
    served=280,
    served_side=1536,
)


@dataclass(frozen=True, slots=True)
class Run:
    """A scale on one kind of database, with the seed of what chance decides."""

    scale: Scale
    kind: Kind
    seed: int

    def __str__(self) -> str:
        return f"{self.scale.name}-{self.kind}-{self.seed}"


SMALL = (Run(CI, "postgres", 1),)
FULL = tuple(Run(SOAK, kind, seed) for kind in ("postgres", "sqlite") for seed in (1, 2, 3))
