"""A service of each test's own; what was counted is printed at the end."""

import pytest

from tests.attack.findings import Finding
from tests.attack.scale import FULL, SMALL, Scale
from tests.attack.service import Service
from tests.models import write_sharded

FINDINGS = pytest.StashKey[list[Finding]]()


@pytest.fixture(
    params=[
        pytest.param(SMALL, id="small", marks=pytest.mark.faults),
        pytest.param(FULL, id="full", marks=pytest.mark.soak),
    ]
)
def scale(request) -> Scale:
    return request.param


@pytest.fixture(scope="session")
def models(tmp_path_factory):
    """A folder of local models: `tiny`, of 6 layers of 4 matrices of 64 × 64."""
    folder = tmp_path_factory.mktemp("models")
    write_sharded(folder / "tiny", layers=6, width=64)
    return folder


@pytest.fixture
def serve(tmp_path, postgres, models):
    """Make a service with settings of its own."""
    made = []

    def make(**more: str) -> Service:
        made.append(Service(tmp_path / f"service-{len(made)}", postgres, models, **more))
        return made[-1]

    yield make
    for service in made:
        service.__exit__()


@pytest.fixture
def found(request, scale):
    """Print what a row counted, now and at the end of all."""

    def note(row: str, **counted: object) -> None:
        words = ", ".join(f"{name.replace('_', ' ')} {_word(n)}" for name, n in counted.items())
        finding = Finding(row, scale.name, words)
        print(finding)
        request.config.stash.setdefault(FINDINGS, []).append(finding)

    return note


def _word(value: object) -> str:
    return f"{value:.3g}" if isinstance(value, float) else str(value)


def pytest_terminal_summary(terminalreporter, config):
    for finding in config.stash.get(FINDINGS, []):
        terminalreporter.write_line(str(finding))
