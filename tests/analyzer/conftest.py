"""A model behind the double of the Hub, and the analysis of the same files in a folder."""

from pathlib import Path

import pytest

from analyzer.hub.open import open_hub
from analyzer.hub.settings import HubSettings
from analyzer.source import open_source
from analyzer.store import FolderStore
from tests.analyzer.hubs import run
from tests.hub.server import HubDouble
from tests.models import write_sharded


@pytest.fixture(scope="session")
def model(tmp_path_factory) -> Path:
    """12 layers of 4 matrices, 25 MB in 6 shards."""
    folder = tmp_path_factory.mktemp("model")
    write_sharded(folder, layers=12, width=512, layers_per_shard=2)
    return folder


@pytest.fixture
def hub(model):
    with HubDouble() as hub:
        hub.add("org/model", model)
        yield hub


@pytest.fixture
def store(own_cache) -> FolderStore:
    return FolderStore(own_cache)


@pytest.fixture
def connect(hub, tmp_path):
    """A source of the double, opened anew at each call."""

    def opened(name="org/model", **settings):
        given = {"endpoint": hub.endpoint, "cache": tmp_path / "hub", "timeout": 2.0, **settings}
        return open_hub(name, None, HubSettings(**given))

    return opened


@pytest.fixture(scope="session")
def local(model, tmp_path_factory):
    """The analysis of the folder itself."""
    return run(open_source(str(model)), FolderStore(tmp_path_factory.mktemp("store")))
