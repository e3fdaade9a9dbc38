"""Screens as HTML: what they say in each state, and that they work without scripts."""

import html
import json
import re

from ledger.jobs import NewJob, create
from ledger.results import put_result
from ledger.runs import put_metrics
from ledger.settle import finish_job
from tests.service.figures.documents import metrics_lines
from tests.worker.pump import pump


def counts(text: str) -> list[int]:
    return [int(found) for found in re.findall(r'<td class="experts">(\d+)</td>', text)]


def test_a_plan_from_the_form_to_its_table(browser):
    empty = browser.get("/")
    assert empty.status_code == 200
    assert "Name a model to see its layers" in empty.text
    job_id = browser.submit()
    waiting = browser.get(f"/plans/{job_id}")
    assert str(waiting.url).endswith(f"/jobs/{job_id}")
    assert 'http-equiv="refresh"' in waiting.text
    assert f'action="/jobs/{job_id}/cancel"' in waiting.text
    pump(browser.api.ledger)
    done = browser.get(f"/jobs/{job_id}").text
    assert 'class="state succeeded"' in done
    assert 'http-equiv="refresh"' not in done
    assert f'href="/plans/{job_id}"' in done
    shown = browser.get(f"/plans/{job_id}").text
    plan = browser.api.http.get(f"/v1/plans/{job_id}").json()["plan"]
    assert counts(shown) == [layer["experts"] for layer in plan["layers"]]
    assert browser.get(f"/plans/{job_id}/plan.json").json() == plan


def test_another_budget_and_method_from_what_is_stored(browser):
    job_id = browser.planned()
    sent = browser.post(f"/plans/{job_id}/again", expert_budget="31", method="alphalora",
                        **{"alphalora.beta": "1.5", "mola.shape": "not asked"})  # fmt: skip
    assert sent.status_code == 303
    other = sent.headers["location"]
    assert other != f"/plans/{job_id}"
    shown = browser.get(other).text
    assert sum(counts(shown)) == 31
    assert 'value="1.5"' in shown
    even = browser.post(f"/plans/{job_id}/again", expert_budget="12", method="uniform")
    assert counts(browser.get(even.headers["location"]).text) == [2] * 6


def test_htmx_gets_the_part_that_changes(browser):
    job_id = browser.planned()
    by_htmx = {"Origin": "http://testserver", "HX-Request": "true"}
    sent = browser.post(f"/plans/{job_id}/again", by_htmx, expert_budget="24", method="alphalora")
    assert sent.status_code == 200
    assert sent.text.lstrip().startswith('<div id="plan">')
    assert sum(counts(sent.text)) == 24
    assert sent.headers["hx-replace-url"].startswith("/plans/pln_")
    refused = browser.post(f"/plans/{job_id}/again", by_htmx, expert_budget="5", method="uniform")
    assert refused.status_code == 200
    assert "budget_infeasible" in refused.text


def test_an_analysis_with_the_spectrum_of_a_matrix(browser):
    job_id = browser.planned()
    analysis_id = browser.api.http.get(f"/v1/plans/{job_id}").json()["analysis_id"]
    shown = browser.get(f"/analyses/{analysis_id}").text
    rows = browser.api.http.get(f"/v1/analyses/{analysis_id}/layers").json()["data"]
    assert len(rows) == 24
    for row in rows:
        assert row["name"] in shown
        assert f"<td>{row['fit']['alpha']:.3f}</td>" in shown
    assert "Spectrum of" not in shown
    chosen = browser.get(f"/analyses/{analysis_id}", params={"matrix": rows[0]["name"]}).text
    assert f"Spectrum of {rows[0]['name']}" in chosen
    gone = browser.get(f"/analyses/{analysis_id}", params={"matrix": "no.such"})
    assert gone.status_code == 200
    assert "What to do" in gone.text
    assert rows[0]["name"] in gone.text, "the rest of the page stands"


def test_cancel_and_try_again(browser):
    job_id = browser.submit()
    assert browser.post(f"/jobs/{job_id}/cancel").status_code == 303
    pump(browser.api.ledger)
    cancelled = browser.get(f"/jobs/{job_id}").text
    assert 'class="state cancelled"' in cancelled
    assert browser.post(f"/jobs/{job_id}/retry").headers["location"] == f"/jobs/{job_id}"
    pump(browser.api.ledger)
    assert 'class="state succeeded"' in browser.get(f"/jobs/{job_id}").text


def test_what_cannot_be_is_said_with_what_to_do(browser):
    browser.planned()
    given = {"model": browser.api.model, "method": "alphalora"}
    for fields, status, code in (
        ({**given, "expert_budget": "2"}, 422, "budget_infeasible"),
        ({**given, "expert_budget": "many"}, 422, "invalid_request"),
        ({**given, "expert_budget": "18", "method": "guess"}, 422, "invalid_option"),
        ({"expert_budget": "18"}, 422, "invalid_request"),
        ({**given, "expert_budget": "18", "model": "/etc"}, 403, "path_not_allowed"),
    ):
        sent = browser.post("/", **fields)
        assert (sent.status_code, f"<code>{code}</code>" in sent.text) == (status, True), sent.text
        assert "What to do:" in sent.text
        assert f'value="{fields["expert_budget"]}"' in sent.text


def test_nothing_there(browser):
    for place in ("/jobs/pln_00", "/jobs/xyz_00", "/plans/pln_00", "/analyses/ana_00", "/jobs/-"):
        missing = browser.get(place)
        assert missing.status_code == 404, place
        assert missing.headers["content-type"].startswith("text/html")
        assert "What to do:" in missing.text


def test_history_with_filters(browser):
    assert "There is no plan yet" in browser.get("/history").text
    job_id = browser.planned()
    assert f"/jobs/{job_id}" in browser.get("/history").text
    assert f"/jobs/{job_id}" in browser.get("/history?status=succeeded").text
    assert "There is no such job" in browser.get("/history?status=failed").text
    assert "There is no such job" in browser.get("/history?model=other&kind=plan").text
    assert "/jobs/ana_" in browser.get("/history?kind=analysis").text


def test_an_unknown_address_is_a_page_for_browsers_alone(browser):
    missing = browser.get("/nothing", headers={"Accept": "text/html,*/*;q=0.8"})
    assert missing.status_code == 404
    assert "there is no page /nothing" in missing.text
    assert "default-src 'self'" in missing.headers["content-security-policy"]
    assert browser.get("/nothing").json()["code"] == "not_found"
    of_the_api = browser.get("/v1/nothing", headers={"Accept": "text/html"})
    assert of_the_api.json()["code"] == "not_found"


def test_the_estimate_of_a_model(browser):
    given = {"model": browser.api.model}
    browser.planned()
    shown = browser.get("/", params=given).text
    outline = browser.api.http.get("/v1/model-info", params=given).json()["outline"]
    assert f"<td>{outline['estimate']['matrices']}</td>" in shown
    part = browser.get("/estimate", params=given).text
    assert "<html" not in part
    assert f"<td>{outline['estimate']['matrices']}</td>" in part
    refused = browser.get("/estimate", params={"model": "/etc"}).text
    assert "<code>path_not_allowed</code>" in refused


def test_a_training_as_it_goes(browser):
    request = {"place": {"model": browser.api.model}, "words": {}, "data": {}}
    new = NewJob("training", "local", request, browser.api.model, None, None, {}, phase="training")
    with browser.api.ledger.database.write() as connection:
        job_id = create(connection, new)
    empty = browser.get(f"/trainings/{job_id}").text
    assert "No step has been told of yet" in empty
    lines = metrics_lines(3)
    with browser.api.ledger.database.write() as connection:
        put_metrics(connection, job_id, lines)
    shown = browser.get(f"/trainings/{job_id}").text
    assert f"<td>{lines[-1]['loss']}</td>" in shown
    assert f'action="/jobs/{job_id}/cancel"' in shown
    assert f'href="/trainings/{job_id}"' in browser.get(f"/jobs/{job_id}").text


def test_what_a_training_came_to(browser):
    request = {"place": {"model": browser.api.model}, "words": {}, "data": {}}
    new = NewJob("training", "local", request, browser.api.model, None, None, {}, phase="training")
    result = {"before": {"samples": 16, "loss": 0.695678, "perplexity": None},
              "after": {"samples": 16, "loss": 0.685233}}  # fmt: skip
    with browser.api.ledger.database.write() as connection:
        job_id = create(connection, new)
        put_result(connection, browser.api.ledger.artifacts, job_id, json.dumps(result), None)
        finish_job(connection, job_id, "succeeded", "the training is there")
    shown = browser.get(f"/trainings/{job_id}").text
    assert '<th scope="row">samples</th><td>16</td><td>16</td>' in shown
    assert '<th scope="row">loss</th><td>0.6957</td><td>0.6852</td>' in shown
    assert "perplexity" not in shown


def test_gated_models_and_a_hub_without_the_model(browser, hub, tiny):
    hub.add("org/gated", tiny, gated=True)
    for model, status, code, hint in (
        ("org/gated", 403, "model_gated", "Accept the model's terms"),
        ("org/nothing", 404, "model_not_found", "Check the name"),
    ):
        sent = browser.post("/", model=model, expert_budget="18", method="alphalora")
        assert sent.status_code == status
        assert f"<code>{code}</code>" in sent.text
        assert hint in html.unescape(sent.text)
        assert f'value="{model}"' in sent.text
        assert f"<code>{code}</code>" in browser.get("/estimate", params={"model": model}).text
    assert browser.api.count() == 0


def test_a_job_that_failed(browser):
    job_id = browser.submit()
    with browser.api.ledger.database.write() as connection:
        error = {"code": "worker_lost", "detail": "the worker went away", "retryable": True}
        finish_job(connection, job_id, "failed", "the worker went away", error=error)
    shown = browser.get(f"/jobs/{job_id}").text
    assert 'class="state failed"' in shown
    assert "the worker went away" in shown
    assert "what was measured is kept" in shown
    assert f'action="/jobs/{job_id}/retry"' in shown
