"""What the page says where something is not there, or did not work: always with what to do."""

import html
import re

import pytest

from ledger.settle import finish_job
from service.pages.failing import OTHERWISE, WHAT_TO_DO, told_of
from service.problems import TITLES
from tests.pages.test_options import fields


def fail(api, job_id: str, code: str) -> None:
    with api.ledger.database.write() as connection:
        error = {"code": code, "detail": f"this is {code}", "retryable": False}
        finish_job(connection, job_id, "failed", "it failed", error=error)


def test_every_hint_is_of_a_code_and_none_blames_the_request_for_a_fault_here():
    assert WHAT_TO_DO.keys() <= TITLES.keys()
    faults = [code for code, (status, _) in TITLES.items() if status >= 500]
    assert len(faults) > 8
    assert [code for code in faults if told_of(code, "")["do"] == OTHERWISE] == []


@pytest.mark.parametrize("code", ["model_gated", "model_not_found", "budget_infeasible"])
def test_a_failed_job_says_what_to_do_and_leads_back_to_its_form(browser, code):
    given = {"expert_budget": "24", "rank": "4", "estimator": "ks", "per_module": "true",
             "alphalora.beta": "1.5"}  # fmt: skip
    job_id = browser.submit(**given)
    fail(browser.api, job_id, code)
    shown = html.unescape(browser.get(f"/jobs/{job_id}").text)
    assert f"this is {code}" in shown
    assert WHAT_TO_DO[code] in shown
    assert f'action="/jobs/{job_id}/retry"' in shown
    place = re.search(r'href="(/\?[^"]+)">Change it', shown).group(1)
    kept = fields(browser.get(place).text)
    assert {name: kept[name] for name in given} == given
    assert kept["model"] == browser.api.model


def test_an_analysis_that_is_not_there_yet_is_its_job(browser):
    plan_id = browser.submit()
    analysis_id = browser.api.http.get(f"/v1/plans/{plan_id}").json()["analysis_id"]
    waiting = browser.get(f"/analyses/{analysis_id}")
    assert waiting.status_code == 200
    assert str(waiting.url).endswith(f"/jobs/{analysis_id}")
    assert "tailora worker --queue analyze" in waiting.text
    fail(browser.api, analysis_id, "hub_unavailable")
    failed = browser.get(f"/analyses/{analysis_id}").text
    assert "Wait a moment, and try again" in failed
    assert "tailora worker --queue" not in failed


@pytest.mark.parametrize("kind", ["plan", "analysis", "training", "comparison"])
def test_an_empty_history_says_how_a_first_one_is_made(browser, kind):
    shown = browser.get(f"/history?kind={kind}").text
    assert f"There is no {kind} yet" in shown
    assert '<a href="/">make a plan</a>' in shown
    assert "There is no such job" in browser.get(f"/history?kind={kind}&status=failed").text


@pytest.mark.parametrize(
    "place", ["/trainings/trn_00", "/comparisons/cmp_00", "/plans/pln_00/train"]
)
def test_nothing_there(browser, place):
    missing = browser.get(place)
    assert missing.status_code == 404
    assert "What to do:" in missing.text
