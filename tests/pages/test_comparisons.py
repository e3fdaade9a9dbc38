"""The page of a comparison of trainings, and what the history says of runs."""

import html
import json

import pytest

from ledger.jobs import NewJob, create
from ledger.results import put_result
from ledger.runs import set_progress
from ledger.settle import finish_job
from tests.pages.conftest import Browser
from tests.service.api.keys import REACHED, new_key
from tests.service.figures.documents import compared
from trainer.compare.results import ComparedRun

PLAN = "pln_01a2236f1a6ec931edc0e2e520ae6b5a"
WORDS = {"plans": {"plan": PLAN}, "against": ["uniform", "lora"], "seeds": [0, 1, 2],
         "dataset": "answers.jsonl", "held_out": None, "preset": None, "reference": None,
         "settings": {"schedule.epochs": 2}}  # fmt: skip


def comparison(api, owner: str = "local", words=WORDS, kind: str = "comparison") -> str:
    request = {"place": {"model": api.model}, "words": words, "data": {}}
    new = NewJob(kind, owner, request, api.model, None, None, {}, phase="training")
    with api.ledger.database.write() as connection:
        return create(connection, new)


def finish(api, job_id: str, found) -> None:
    result = {"schema": "tailora.comparison-result/1", "status": "finished", "files": [],
              "comparison": found.model_dump(mode="json")}  # fmt: skip
    with api.ledger.database.write() as connection:
        put_result(connection, api.ledger.artifacts, job_id, json.dumps(result), None)
        finish_job(connection, job_id, "succeeded", "the comparison is there")


def test_from_waiting_to_the_verdict(browser):
    job_id = comparison(browser.api)
    place = f"/comparisons/{job_id}"
    waiting = browser.get(place).text
    assert "once all trainings have ended" in waiting
    assert "tailora worker --queue train" in waiting
    assert f'action="/jobs/{job_id}/cancel"' in waiting
    assert f'href="/plans/{PLAN}"' in waiting
    assert 'http-equiv="refresh"' in waiting
    found = compared()
    finish(browser.api, job_id, found)
    done = html.unescape(browser.get(place).text)
    assert 'http-equiv="refresh"' not in done
    assert "No arm differs" in done
    assert "Three seeds are few" in done
    for arm, mean in (("lora", 1.1), ("uniform", 3.05 / 3), ("plan", 0.75)):
        assert f'<th scope="row">{arm}</th><td>10</td><td>{mean:.4f} ±' in done
    for each in found.differences:
        by = each.by_seed
        assert f"<td>{by.mean:+.4f} [{by.low:+.4f}, {by.high:+.4f}]</td>" in done
    runs = done.partition('<table id="runs">')[2].partition("</table>")[0]
    assert runs.count("<tr>") == 1 + len(found.runs) == 10
    assert f"/v1/comparisons/{job_id}/figures/comparison?format=svg" in done
    assert f'href="{place}"' in browser.get(f"/jobs/{job_id}").text


def test_how_far_it_is(browser):
    job_id = comparison(browser.api)
    with browser.api.ledger.database.write() as connection:
        set_progress(connection, job_id, 4, 9)
    shown = browser.get(f"/comparisons/{job_id}").text
    assert "4 of 9 done" in shown
    assert '<progress max="9" value="4"' in shown


def test_runs_that_failed_are_named_with_why(browser):
    job_id = comparison(browser.api)
    found = compared()
    failed = ComparedRun(arm="plan", seed=2, status="failed", reason="CUDA ran out of memory",
                         plan_digest="p", recipe_digest="r")  # fmt: skip
    finish(browser.api, job_id, found.model_copy(update={"runs": (*found.runs[:-1], failed)}))
    assert "failed: CUDA ran out of memory" in browser.get(f"/comparisons/{job_id}").text
    nothing = comparison(browser.api)
    finish(browser.api, nothing, found.model_copy(update={"runs": (failed,)}))
    shown = browser.get(f"/comparisons/{nothing}")
    assert shown.status_code == 200
    assert "figures/comparison" not in shown.text


def test_one_that_failed_or_was_cancelled_can_be_tried_again(browser):
    job_id = comparison(browser.api)
    with browser.api.ledger.database.write() as connection:
        error = {"code": "store_error", "detail": "no space left", "retryable": True}
        finish_job(connection, job_id, "failed", "no space left", error=error)
    shown = html.unescape(browser.get(f"/comparisons/{job_id}").text)
    assert "no space left" in shown
    assert "make room on the service's disk" in shown
    assert f'action="/jobs/{job_id}/retry"' in shown


def test_the_history_of_runs_says_on_what(browser):
    for kind in ("training", "comparison"):
        assert f"There is no {kind} yet" in browser.get(f"/history?kind={kind}").text
    training = {"plan_id": PLAN, "dataset": "labels.csv", "preset": None, "settings": {}}
    job_id = comparison(browser.api, words=training, kind="training")
    shown = browser.get("/history?kind=training").text
    assert f"/jobs/{job_id}" in shown
    assert "on labels.csv" in shown
    other = comparison(browser.api)
    shown = browser.get("/history?kind=comparison").text
    assert f"/jobs/{other}" in shown
    assert "plan against uniform, lora, on answers.jsonl" in shown


@pytest.mark.parametrize(
    ("owner", "scope", "status"),
    [("ann", "read", 200), ("ben", "write", 404), ("root", "admin", 200), ("ann", "gated", 403)],
)
def test_who_sees_it(make_api, owner, scope, status):
    api = make_api(**REACHED)
    browser, job_id = Browser(api), comparison(api, owner="ann")
    assert browser.get(f"/comparisons/{job_id}").status_code == 401
    browser.post("/sign-in", key=new_key(api, "one", owner, scope)["Authorization"][7:])
    assert browser.get(f"/comparisons/{job_id}").status_code == status
    listed = browser.get("/history?kind=comparison").text
    assert (f"/jobs/{job_id}" in listed) == (status == 200)
