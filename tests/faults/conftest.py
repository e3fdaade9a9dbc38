"""A stand for the runs of one scale and database; what they came to is printed at the end."""

import random

import pytest

from tests.faults.scale import FULL, SMALL
from tests.faults.stand import Stand
from tests.faults.tally import Tally

TALLIES = pytest.StashKey[list[Tally]]()


def pytest_generate_tests(metafunc):
    """All runs of one stand follow each other."""
    if "run" in metafunc.fixturenames:
        small = [pytest.param(run, id=str(run), marks=pytest.mark.faults) for run in SMALL]
        full = [pytest.param(run, id=str(run), marks=pytest.mark.soak) for run in FULL]
        metafunc.parametrize("run", [*small, *full], scope="session")


class Stands:
    """The stand of now; another one takes its place."""

    def __init__(self, make):
        self._make, self._stand, self._of = make, None, None

    def of(self, run) -> Stand:
        if self._of != (run.scale, run.kind):
            self.close()
            self._stand = self._make(run)
            self._of = run.scale, run.kind
        return self._stand

    def close(self):
        if self._stand is not None:
            self._stand.close()
        self._stand = self._of = None


@pytest.fixture(scope="session")
def stands(request, tmp_path_factory):
    def make(run):
        postgres = request.getfixturevalue("cluster") if run.kind == "postgres" else None
        return Stand(tmp_path_factory.mktemp(f"{run.scale.name}-{run.kind}"), run, postgres)

    found = Stands(make)
    yield found
    found.close()


@pytest.fixture
def stand(stands, run) -> Stand:
    """Everything runs, nothing is known, and the undisturbed run is over."""
    found = stands.of(run)
    found.renew(run)
    assert found.calm.wall > 0
    return found


@pytest.fixture
def chance(run) -> random.Random:
    return random.Random(run.seed)


@pytest.fixture
def keep(request, stand):
    """Print what a run came to, now and at the end of all; fail where its fault did not fire."""

    def kept(row: str, plans, *, fired: int, asked: int = 1, **how) -> Tally:
        tally = stand.tally(row, plans, fired, **how)
        print(tally)
        request.config.stash.setdefault(TALLIES, []).append(tally)
        assert fired >= asked, f"the fault fired {fired} times, not {asked}"
        return tally

    return kept


def pytest_terminal_summary(terminalreporter, config):
    for tally in config.stash.get(TALLIES, []):
        terminalreporter.write_line(str(tally))
