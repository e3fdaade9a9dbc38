"""Who may use the page, its headers, and that it loads nothing from elsewhere."""

import hashlib
import html
import re
from pathlib import Path

import pytest

import service.pages
from tests.pages.conftest import OWN, Browser
from tests.service.api.keys import REACHED, new_key

HERE = Path(service.pages.__file__).parent
VENDOR = HERE / "static" / "vendor"
OUTSIDE = re.compile(r"""(?:(?:src|href|action|hx-\w+)\s*=\s*["']?|url\(["']?|@import\s+["'])"""
                     r"""(?:https?:)?//""", re.IGNORECASE)  # fmt: skip
INLINE = re.compile(r"""<style|\sstyle\s*=|<script(?![^>]*\ssrc=)|\son\w+\s*=|javascript:""")


def test_vendored_files_are_those_of_the_checksums():
    lines = [line.split() for line in (VENDOR / "CHECKSUMS").read_text().splitlines()]
    named = {name: digest for digest, name in lines}
    there = {path.name for path in VENDOR.iterdir()} - {"CHECKSUMS"}
    assert there == set(named)
    for name, digest in named.items():
        assert hashlib.sha256((VENDOR / name).read_bytes()).hexdigest() == digest
    for script in (name for name in named if name.endswith(".js")):
        assert any(other.endswith("LICENSE") and script.startswith(other[:-8]) for other in named)


def test_sources_name_no_other_origin_and_bring_no_inline_code():
    own = [*(HERE / "templates").glob("*.html"), HERE / "static/page.css", HERE / "static/page.js"]
    assert len(own) > 10
    for path in own:
        text = path.read_text()
        assert not OUTSIDE.search(text), path.name
        assert "://" not in text, path.name
        if path.suffix == ".html":
            assert not INLINE.search(text), path.name


def test_every_page_has_a_strict_policy_and_stays_here(browser):
    job_id = browser.planned()
    analysis_id = browser.api.http.get(f"/v1/plans/{job_id}").json()["analysis_id"]
    places = ["/", "/history", "/about", "/sign-in", f"/jobs/{job_id}", f"/plans/{job_id}",
              f"/analyses/{analysis_id}", "/jobs/pln_0", "/keys", f"/plans/{job_id}/train",
              f"/plans/{job_id}/compare", f"/plans/{job_id}?budgets=true&shape=triangle",
              f"/analyses/{analysis_id}?with={analysis_id}&matrix=none"]  # fmt: skip
    for place in places:
        found = browser.get(place)
        policy = found.headers["content-security-policy"]
        assert "default-src 'self'" in policy
        assert "unsafe" not in policy
        assert found.headers["x-content-type-options"] == "nosniff"
        assert not OUTSIDE.search(found.text), place
        assert not INLINE.search(found.text), place
        for link in re.findall(r'(?:src|href)="(/static/[^"]+)"', found.text):
            assert browser.get(link).status_code == 200, link
    assert "content-security-policy" not in browser.get("/v1/methods").headers


def test_pages_are_not_in_the_api_document(browser):
    paths = browser.get("/openapi.json").json()["paths"]
    assert not [path for path in paths if path.startswith(("/jobs", "/history", "/sign"))]


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"Origin": "https://elsewhere.example"},
        {"Origin": "null"},
        {"Origin": "http://testserver", "Sec-Fetch-Site": "cross-site"},
        {"Sec-Fetch-Site": "same-site"},
    ],
)
def test_forms_of_other_sites_do_nothing(browser, headers):
    fields = {"model": browser.api.model, "expert_budget": "18"}
    sent = browser.post("/", headers, **fields)
    assert sent.status_code == 422
    assert browser.api.count() == 0


def test_the_api_takes_no_forms(browser):
    sent = browser.api.http.post("/v1/plans", data={"model": browser.api.model}, headers=OWN)
    assert sent.status_code == 415


@pytest.fixture
def gated(make_api):
    """A service that asks for keys, and one of them."""
    api = make_api(**REACHED)
    return Browser(api), new_key(api, "page", "ana", "read", "write")["Authorization"][7:]


def test_signing_in_and_out(gated):
    browser, key = gated
    closed = browser.get("/")
    assert closed.status_code == 401
    assert "Bearer" not in closed.text
    assert 'action="/sign-in"' in closed.text
    wrong = browser.post("/sign-in", key="tlr_wrong")
    assert wrong.status_code == 401
    assert "set-cookie" not in wrong.headers
    signed = browser.post("/sign-in", key=key)
    cookie = signed.headers["set-cookie"].lower()
    assert signed.status_code == 303
    assert "httponly" in cookie
    assert "samesite=strict" in cookie
    assert "Sign out" in browser.get("/").text
    assert browser.get("/v1/methods").status_code == 200
    assert browser.submit().startswith("pln_")
    assert browser.post("/sign-out").status_code == 303
    assert browser.get("/").status_code == 401
    stale = browser.get("/", headers={"Cookie": "tailora_key=tlr_revoked"})
    assert "no longer valid" in stale.text


def test_signing_in_leads_to_what_was_asked_for_and_nowhere_else(gated):
    browser, key = gated
    closed = browser.get("/history?kind=plan&status=failed").text
    assert 'name="back" value="/history?kind=plan&amp;status=failed"' in closed
    for back, place in (
        ("/history?kind=plan&status=failed", "/history?kind=plan&status=failed"),
        ("//elsewhere.example/", "/"),
        ("/\\elsewhere.example/", "/"),
        ("/\t/elsewhere.example/", "/"),
        ("https://elsewhere.example/", "/"),
        ("", "/"),
    ):
        wrong = browser.post("/sign-in", key="tlr_wrong", back=back)
        assert f'name="back" value="{html.escape(back or "/")}"' in wrong.text
        assert browser.post("/sign-in", key=key, back=back).headers["location"] == place


def test_the_cookie_is_for_the_page_alone(gated):
    browser, key = gated
    browser.post("/sign-in", key=key)
    body = {"model": browser.api.model, "expert_budget": 18}
    http = browser.api.http
    assert http.post("/v1/plans", json=body).status_code == 401
    elsewhere = {"Origin": "https://elsewhere.example"}
    assert http.post("/v1/plans", json=body, headers=elsewhere).status_code == 401
    assert http.get("/v1/methods", headers={"Sec-Fetch-Site": "cross-site"}).status_code == 401
    own = {"Sec-Fetch-Site": "same-origin"}
    assert http.post("/v1/plans", json=body, headers=own).status_code == 202
    wrong = {"Authorization": "Bearer tlr_wrong", **own}
    assert http.get("/v1/methods", headers=wrong).status_code == 401
