"""The service of the API's tests, as a browser without scripts sees it; and real browsers."""

import shutil
from dataclasses import dataclass

import pytest
from playwright.sync_api import sync_playwright

from tests.pages.guarded import guarding
from tests.pages.stand import standing
from tests.service.api.conftest import Api, api, hub, make_api, tiny  # noqa: F401
from tests.worker.pump import pump

OWN = {"Origin": "http://testserver"}


@dataclass
class Browser:
    """Sends forms as the page's own."""

    api: Api

    def get(self, place: str, **words):
        return self.api.http.get(place, **words)

    def post(self, place: str, headers=OWN, **fields):
        return self.api.http.post(place, data=fields, headers=headers, follow_redirects=False)

    def submit(self, **fields) -> str:
        """A new plan by the form; the id of its job."""
        given = {"model": self.api.model, "expert_budget": "18", "method": "alphalora", **fields}
        sent = self.post("/", **given)
        assert sent.status_code == 303, sent.text
        return sent.headers["location"].rpartition("/")[2]

    def planned(self, **fields) -> str:
        """The same, once workers have done their part."""
        job_id = self.submit(**fields)
        pump(self.api.ledger)
        return job_id


@pytest.fixture
def browser(api) -> Browser:  # noqa: F811
    return Browser(api)


@pytest.fixture(scope="session")
def chromium():
    path = shutil.which("chromium") or shutil.which("chromium-browser")
    if path is None:
        pytest.skip("no browser: apt-get install chromium")
    with sync_playwright() as playwright:
        started = playwright.chromium.launch(executable_path=path, args=["--no-sandbox"])
        yield started
        started.close()


@pytest.fixture(scope="session")
def stand(tmp_path_factory, minilm):
    with standing(tmp_path_factory.mktemp("stand"), minilm) as running:
        yield running


@pytest.fixture(scope="session")
def guarded(tmp_path_factory):
    with guarding(tmp_path_factory.mktemp("guarded")) as running:
        yield running
