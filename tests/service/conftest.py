"""A small sharded model, its plan by the folder, and a Hub that serves it to the command line."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from tests.hub.faults import Action, Fault
from tests.hub.server import HubDouble
from tests.models import write_sharded
from tests.service.command import document

BUDGET = ("--budget", 36)


@dataclass(frozen=True)
class Small:
    """12 layers of 4 matrices, 25 MB in 6 shards; what the folder's own plan says."""

    folder: Path
    bytes: int
    store: Path
    plan: dict[str, Any] = field(repr=False)

    def check(self, plan: dict[str, Any]) -> None:
        """The plan is that of the folder, with every alpha to the last digit."""
        assert plan["digest"] == self.plan["digest"]
        assert plan["layers"] == self.plan["layers"]


@dataclass
class Online:
    """A Hub and the environment of a process that knows no other."""

    hub: HubDouble
    home: Path

    @property
    def environment(self) -> dict[str, str]:
        return self.hub.environment(self.home)

    def spoil(self, action: Action, path: str = "^/cdn/", **rule) -> Fault:
        fault = Fault(action, path, **rule)
        self.hub.faults.append(fault)
        return fault

    def served(self) -> int:
        """Bytes of weights that went over the wire."""
        return self.hub.bytes_served("^/cdn/")


@pytest.fixture(scope="session")
def small(tmp_path_factory) -> Small:
    folder = tmp_path_factory.mktemp("small")
    store = tmp_path_factory.mktemp("store")
    size = write_sharded(folder, layers=12, width=512, layers_per_shard=2)
    return Small(folder, size, store, document("plan", folder, *BUDGET, "--cache", store))


@pytest.fixture
def online(small, tmp_path):
    with HubDouble() as hub:
        hub.add("org/model", small.folder, tag="v1")
        yield Online(hub, tmp_path / "hf")
