"""What Prometheus reads, by its own parser; the same from every API process."""

from prometheus_client.parser import text_string_to_metric_families
from sqlalchemy import update
from starlette.testclient import TestClient

from ledger.clock import now
from ledger.tables import jobs, units
from scripts.manual.records import metric_page
from service.app import create_app
from tests.service.api.conftest import LAYERS
from tests.worker.pump import pump


def scrape(http) -> dict[tuple[str, tuple[tuple[str, str], ...]], float]:
    answer = http.get("/metrics")
    assert answer.status_code == 200
    assert answer.headers["content-type"].startswith("text/plain; version=")
    return {
        (sample.name, tuple(sorted(sample.labels.items()))): sample.value
        for family in text_string_to_metric_families(answer.text)
        for sample in family.samples
    }


def sample(found, name, **labels):
    return found.get((f"tailora_{name}", tuple(sorted(labels.items()))))


def test_what_waits_and_for_how_long(api):
    job = api.plan().json()
    with api.ledger.database.write() as connection:
        for table in (jobs, units):
            connection.execute(update(table).values(created_at=now() - 100.0))
    found = scrape(api.http)
    assert sample(found, "jobs", kind="plan", state="queued") == 1
    assert sample(found, "jobs", kind="analysis", state="queued") == 1
    assert sample(found, "units", kind="outline", state="queued") == 1
    assert 100 <= sample(found, "oldest_job_seconds", kind="plan") < 110
    assert 100 <= sample(found, "oldest_unit_seconds", kind="outline") < 110
    assert sample(found, "workers") == 0
    api.http.post(f"{job['links']['self']}/cancel")
    found = scrape(api.http)
    assert sample(found, "jobs", kind="plan", state="queued") is None
    assert sample(found, "jobs_ended_total", kind="plan", state="cancelled") == 1


def test_what_was_done_is_counted_by_the_ledger(api):
    api.done()
    api.done(expert_budget=24)
    found = scrape(api.http)
    weights = LAYERS * 4 * 64 * 64
    assert sample(found, "spectra_solved_total") == LAYERS * 4
    assert sample(found, "bytes_read_total", origin="local") >= 2 * weights
    assert sample(found, "solve_seconds_total") > 0
    assert sample(found, "jobs_ended_total", kind="plan", state="succeeded") == 2
    assert sample(found, "jobs_ended_total", kind="analysis", state="succeeded") == 1
    for name in ("job_seconds", "job_wait_seconds"):
        kind = "analysis"
        assert sample(found, f"{name}_count", kind=kind) == 1
        assert sample(found, f"{name}_bucket", kind=kind, le="+Inf") == 1
        assert sample(found, f"{name}_bucket", kind=kind, le="43200.0") == 1
    peaks = [value for (name, _), value in found.items() if name == "tailora_worker_peak_bytes"]
    assert peaks
    assert min(peaks) > 10_000_000
    other = scrape(TestClient(create_app(api.ledger)))
    for (name, labels), value in found.items():
        if not name.startswith(("tailora_http", "tailora_api")):
            assert other[name, labels] == value


def test_requests_are_counted_by_route_and_not_by_address(api):
    for path in ("/healthz", "/v1/plans/pln_00", "/v1/plans/pln_01", "/nowhere/1", "/nowhere/2"):
        api.http.get(path)
    api.http.request("BREW", "/healthz")
    found = scrape(api.http)
    count = "http_requests_total"
    assert sample(found, count, method="GET", route="/healthz", status="200") == 1
    assert sample(found, count, method="GET", route="/v1/plans/{job_id}", status="404") == 2
    assert sample(found, count, method="GET", route="none", status="404") == 2
    assert [dict(labels)["method"] for name, labels in found if name == f"tailora_{count}"].count(
        "other"
    ) == 1


def test_requests_to_the_hub_by_status(api, hub):
    before = scrape(api.http)
    api.plan(model="org/tiny")
    api.plan(model="org/none")
    pump(api.ledger)
    found = scrape(api.http)

    def more(name, status):
        return (sample(found, name, status=status) or 0) - (
            sample(before, name, status=status) or 0
        )

    sent = [record.status for record in hub.requests]
    assert more("api_hub_requests_total", "401") == sent.count(401) == 1
    assert more("hub_requests_total", "206") + more("hub_requests_total", "200") > 0


def test_every_family_is_in_the_reference(api):
    api.done()
    page = metric_page()
    families = {
        family.name
        for family in text_string_to_metric_families(api.http.get("/metrics").text)
        if not family.name.endswith("_created")
    }
    assert len(families) >= 17
    assert {name for name in families if f"| `{name}" not in page} == set()
