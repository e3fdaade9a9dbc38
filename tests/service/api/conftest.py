"""The API over a ledger of its own, a Hub beside it, and a small model in an allowed folder."""

from dataclasses import dataclass
from pathlib import Path

import pytest
from huggingface_hub import constants
from starlette.testclient import TestClient

from ledger.access import Ledger
from ledger.migrate import upgrade
from ledger.settings import load_settings
from service.app import create_app
from tests.hub.server import HubDouble
from tests.models import write_sharded
from tests.worker.pump import pump
from worker.bodies import OPEN

BUDGET = 18
LAYERS = 6


@dataclass
class Api:
    """A client, and the workers behind the service."""

    http: TestClient
    ledger: Ledger
    model: str

    def plan(self, **words):
        """POST /v1/plans for the model."""
        body = {"model": self.model, "expert_budget": BUDGET, **words}
        return self.http.post("/v1/plans", json=body)

    def done(self, **words) -> dict:
        """The envelope of a plan once workers have done their part."""
        accepted = self.plan(**words)
        assert accepted.status_code in (201, 202), accepted.text
        pump(self.ledger)
        return self.http.get(accepted.json()["links"]["self"]).json()

    def count(self) -> int:
        """Jobs of any kind."""
        from sqlalchemy import func, select

        from ledger.tables import jobs

        with self.ledger.database.read() as connection:
            return connection.scalar(select(func.count()).select_from(jobs))


@pytest.fixture(scope="session")
def tiny(tmp_path_factory) -> Path:
    """6 layers of 4 matrices of 64 × 64, in an allowed folder."""
    folder = tmp_path_factory.mktemp("models") / "tiny"
    write_sharded(folder, layers=LAYERS, width=64)
    return folder


@pytest.fixture
def make_api(tiny, tmp_path):
    """An API with settings of its own."""
    clients = []
    OPEN._open.clear()  # of this process: another test's Hub

    def make(**settings) -> Api:
        given = {"data": tmp_path / "data", "models": str(tiny.parent), **settings}
        given["data"].mkdir(exist_ok=True)
        ledger = Ledger(load_settings(**given))
        upgrade(ledger.database)
        http = TestClient(create_app(ledger), raise_server_exceptions=False)
        clients.append((http, ledger))
        return Api(http, ledger, str(tiny))

    yield make
    for http, ledger in clients:
        http.close()
        ledger.database.close()


@pytest.fixture
def api(make_api) -> Api:
    return make_api()


@pytest.fixture
def hub(tiny, tmp_path, monkeypatch):
    """A Hub with the same model as `org/tiny`, for the API and its workers."""
    with HubDouble() as hub:
        commit = hub.add("org/tiny", tiny, tag="v1")
        for name, value in hub.environment(tmp_path / "hf").items():
            monkeypatch.setenv(name, value)
        monkeypatch.setattr(constants, "ENDPOINT", hub.endpoint)
        monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "hf"))
        monkeypatch.setattr(constants, "HF_HUB_OFFLINE", False)
        monkeypatch.delenv("HF_TOKEN", raising=False)
        hub.commit = commit
        yield hub
