"""What pages show beside a plan or an analysis, as HTML without scripts."""

import html
import re
from urllib.parse import parse_qs, urlsplit

import pytest

from tests.pages.conftest import Browser
from tests.pages.test_screens import counts
from tests.service.api.keys import REACHED, new_key
from tests.worker.pump import pump


def figures(text: str) -> dict[str, dict[str, list[str]]]:
    """The figures on a page, with the words that they are asked for with."""
    places = [html.unescape(found) for found in re.findall(r'data-figure="([^"]+)"', text)]
    return {urlsplit(place).path.rpartition("/")[2]: parse_qs(urlsplit(place).query)
            for place in places}  # fmt: skip


def analysis_of(browser, job_id: str) -> str:
    return browser.api.http.get(f"/v1/plans/{job_id}").json()["analysis_id"]


def test_a_plan_with_everything_beside_it(browser):
    other = browser.planned(method="uniform", expert_budget="24")
    job_id = browser.planned()
    alone = browser.get(f"/plans/{job_id}").text
    assert set(figures(alone)) == {"experts"}
    assert f'<option value="{other}">uniform 24,' in alone
    assert f'<option value="{job_id}"' not in alone
    words = {"with": other, "shape": ["hourglass", "2468"], "budgets": "true", "stability": "true"}
    shown = browser.get(f"/plans/{job_id}", params=words).text
    found = figures(shown)
    assert set(found) == {"experts", "plans", "budgets", "stability"}
    assert found["experts"]["shape"] == ["hourglass", "2468"]
    assert found["plans"]["with"] == [other]
    assert f'<option value="{other}" selected>' in shown
    assert re.search(r'value="hourglass" checked', shown)
    assert not re.search(r'value="triangle" checked', shown)
    assert counts(shown) == counts(alone)
    kept = re.search(r'action="(/plans/[^"]+/again[^"]*)"', shown)
    sent = browser.post(html.unescape(kept[1]), expert_budget="31", method="alphalora")
    again = browser.get(sent.headers["location"]).text
    assert figures(again) == found
    assert sum(counts(again)) == 31


@pytest.mark.parametrize(
    ("words", "code"),
    [
        ({"shape": "guess"}, "invalid_option"),
        ({"with": "pln_00"}, "not_found"),
        ({"stability": "true"}, "nothing_to_draw"),
    ],
)
def test_what_cannot_stand_beside_a_plan_is_said_and_the_plan_stays(browser, words, code):
    job_id = browser.planned(method="uniform", expert_budget="24")
    shown = browser.get(f"/plans/{job_id}", params=words)
    assert shown.status_code == 200
    assert set(figures(shown.text)) == {"experts"}
    assert counts(shown.text) == [4] * 6
    assert f"<code>{code}</code>" in shown.text
    assert "What to do:" in shown.text


def test_htmx_gets_the_parts_of_an_analysis(browser):
    analysis_id = analysis_of(browser, browser.planned())
    place = f"/analyses/{analysis_id}"
    name = browser.api.http.get(f"/v1{place}/layers").json()["data"][0]["name"]
    part = browser.get(place, params={"matrix": name}, headers={"HX-Target": "esd"}).text
    assert "<html" not in part
    assert figures(part)["esd"]["matrix"] == [name]
    assert "mp" not in figures(part)["esd"]
    law = browser.get(place, params={"matrix": name, "mp": "true"}, headers={"HX-Target": "esd"})
    assert figures(law.text)["esd"]["mp"] == ["true"]
    assert "Marchenko-Pastur, Q = " in law.text
    series = browser.get(place, params={"with": analysis_id}, headers={"HX-Target": "series"}).text
    assert "<html" not in series
    assert figures(series)["checkpoints"]["with"] == [analysis_id]


def test_other_checkpoints_are_those_that_were_measured_the_same_way(browser):
    first, same, other = (
        browser.api.http.post("/v1/analyses", json={"model": browser.api.model, **words}).json()[
            "id"
        ]
        for words in ({}, {}, {"estimator": "ks"})
    )
    pump(browser.api.ledger)
    shown = browser.get(f"/analyses/{first}").text
    offered = re.findall(r'name="with" value="(ana_[^"]+)"', shown)
    assert offered == [same]
    assert other in browser.get("/history?kind=analysis").text


def test_checkpoints_stand_in_the_order_in_which_they_were_made(browser):
    asked = [browser.api.http.post("/v1/analyses", json={"model": browser.api.model})
             for _ in range(2)]  # fmt: skip
    first, later = (sent.json()["id"] for sent in asked)
    pump(browser.api.ledger)
    for own, other in ((first, later), (later, first)):
        shown = browser.get(f"/analyses/{own}", params={"with": other}).text
        assert figures(shown)["checkpoints"]["with"] == [later]
        assert f"/v1/analyses/{first}/figures/checkpoints?" in shown


def test_parts_of_an_analysis_keep_what_is_in_the_others(browser):
    analysis_id = analysis_of(browser, browser.planned())
    place = f"/analyses/{analysis_id}"
    matrix = browser.api.http.get(f"/v1{place}/layers").json()["data"][0]["name"]
    shown = browser.get(place, params={"matrix": matrix, "mp": "true", "with": analysis_id}).text
    spectrum, series = re.findall(r'<form method="get".*?</form>', shown, re.DOTALL)
    assert f'<input type="hidden" name="with" value="{analysis_id}">' in spectrum
    assert f'<input type="hidden" name="matrix" value="{matrix}">' in series
    assert '<input type="hidden" name="mp" value="true">' in series
    links = [parse_qs(urlsplit(html.unescape(link)).query)
             for link in re.findall(r'<td><a href="([^"]+)#esd"', shown)]  # fmt: skip
    assert all((link["with"], link["mp"]) == ([analysis_id], ["true"]) for link in links)


def test_what_is_of_others_stands_beside_nothing(make_api):
    browser = Browser(make_api(**REACHED))
    keys = [new_key(browser.api, name, name, "write")["Authorization"][7:] for name in ("a", "b")]
    browser.post("/sign-in", key=keys[0])
    of_another = browser.planned()
    browser.post("/sign-in", key=keys[1])
    own = browser.planned()
    shown = browser.get(f"/plans/{own}", params={"with": of_another}).text
    assert set(figures(shown)) == {"experts"}
    assert "<code>not_found</code>" in shown


def test_a_long_table_comes_in_parts(browser, monkeypatch):
    monkeypatch.setattr("service.pages.analyses.MOST_ROWS", 10)
    place = f"/analyses/{analysis_of(browser, browser.planned())}"
    names = [row["name"] for row in browser.api.http.get(f"/v1{place}/layers").json()["data"]]
    seen, following = [], place
    while following:
        text = browser.get(following).text
        seen += re.findall(r'#esd">([^<]+)</a>', text)
        later = re.search(r'href="([^"]+)#matrices">Later', text)
        following = later and html.unescape(later[1])
    assert seen == names
    assert "Rows 21 to 24 of 24." in text
