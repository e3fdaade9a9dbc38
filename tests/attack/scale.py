"""How large an attack is: a small one for every change, and the full one of `make soak`."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Scale:
    """Counts of one scale."""

    name: str
    cases: int
    """Generated requests of an operation, with a key and again without."""

    submissions: int
    kills: int
    polled: int
    """Jobs, each of which is asked for once."""

    units: int
    timed: bool
    """Whether times count: on a machine that does other things as well, only counts do."""


SMALL = Scale("small", cases=25, submissions=200, kills=4, polled=1000, units=300, timed=False)
FULL = Scale("full", cases=300, submissions=1000, kills=20, polled=10_000, units=10_000, timed=True)
