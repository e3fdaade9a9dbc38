"""The service of the API's tests, as a browser without scripts sees it."""

from dataclasses import dataclass

import pytest

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
