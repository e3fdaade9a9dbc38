"""What browsers load travels compressed; streams and the API's answers go as they are."""

import gzip
import json
from pathlib import Path

import pytest

import service.pages
from tests.pages.test_beside import analysis_of

HERE = Path(service.pages.__file__).parent
BUILD = HERE.parents[1] / "scripts" / "echarts"
(ECHARTS,) = (HERE / "static" / "vendor").glob("echarts-*.js")


@pytest.fixture
def raw(browser):
    """An answer as it was sent, with its headers."""

    def get(place: str, accepted: str = "gzip, br"):
        with browser.api.http.stream("GET", place, headers={"Accept-Encoding": accepted}) as sent:
            return sent, b"".join(sent.iter_raw())

    return get


def test_files_are_compressed_and_asked_after(browser, raw):
    place = f"/static/vendor/{ECHARTS.name}"
    sent, body = raw(place)
    assert sent.headers["content-encoding"] == "gzip"
    assert gzip.decompress(body) == ECHARTS.read_bytes()
    assert len(body) < 239_503, "ECharts' own common build, which has no heat maps"
    plain, whole = raw(place, "identity")
    assert "content-encoding" not in plain.headers
    assert whole == ECHARTS.read_bytes()
    for answer in (sent, plain):
        assert answer.headers["cache-control"] == "no-cache"
        assert answer.headers["vary"] == "Accept-Encoding"
        known = {"If-None-Match": answer.headers["etag"]}
        assert browser.get(place, headers=known).status_code == 304


def test_pages_and_figures_are_compressed_and_nothing_else(browser, raw):
    job_id = browser.planned()
    analysis = f"/v1/analyses/{analysis_of(browser, job_id)}"
    for place in (f"/plans/{job_id}", "/", f"{analysis}/figures/alphas?format=echarts"):
        sent, body = raw(place)
        assert sent.headers["content-encoding"] == "gzip", place
        assert gzip.decompress(body) == raw(place, "identity")[1]
    for place in (f"/v1/plans/{job_id}", f"{analysis}/document", f"/v1/plans/{job_id}/events"):
        assert "content-encoding" not in raw(place)[0].headers, place


def test_the_parts_of_echarts_are_of_the_version_and_the_packages_that_are_named():
    packages = json.loads((BUILD / "package-lock.json").read_text())["packages"]
    wanted = packages.pop("")["devDependencies"]
    assert ECHARTS.name == f"echarts-{wanted['echarts']}.parts.min.js"
    for name, found in packages.items():
        assert found["integrity"].startswith("sha512-"), name
        assert "resolved" not in found, name
    for name, version in wanted.items():
        assert packages[f"node_modules/{name}"]["version"] == version
