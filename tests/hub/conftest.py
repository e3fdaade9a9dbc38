"""A double with one repository of one small and one large file."""

import pytest

from tests.hub.server import HubDouble
from tests.hub.wire import DATA


@pytest.fixture
def hub(tmp_path):
    (tmp_path / "a").mkdir()
    (tmp_path / "a/small.dat").write_bytes(DATA)
    (tmp_path / "a/big.safetensors").write_bytes(DATA)
    with HubDouble() as hub:
        hub.add("org/name", tmp_path / "a", tag="v1")
        yield hub
