"""Options of a plan in the forms: all that the API takes, kept when they are sent back."""

import html
import re

import pytest

from service.pages.options import NEW_PLAN
from tests.worker.pump import pump
from worker.requests import PlanWords

OTHERS = {
    "budget_kind": "mean", "rounding": "webster", "min_experts": "2", "max_experts": "6",
    "top_k": "1", "per_module": "true", "rank": "4", "lora_alpha": "8.5", "modules": "q_proj",
    "stack": "text", "aspect": "none", "weighting": "parameters", "precision": "float64",
    "solver": "svd", "ranged": "true", "stability": "nominal", "draws": "50", "seed": "7",
    "estimator": "ks",
}  # fmt: skip
ELSEWHERE = {"expert_budget", "method", "parameters", "beta", "shape", "counts"}
"""Words that other parts of the form have: those of the method, and the budget."""

WINDOWS = {"sample_rows", "sample_ratio", "sample_starts"}


def fields(text: str) -> dict[str, str]:
    """What a browser would send of a page's first form, as far as it is filled in."""
    found = dict(re.findall(r'<input id="[^"]+" name="([^"]+)"[^>]*? value="([^"]*)"', text))
    for name, inside in re.findall(r'<select id="[^"]+" name="([^"]+)".*?>(.*?)</select>', text,
                                   re.DOTALL):  # fmt: skip
        chosen = re.findall(r'<option value="([^"]*)" selected', inside)
        found[name] = (chosen or re.findall(r'<option value="([^"]*)"', inside))[0]
    return {name: html.unescape(value) for name, value in found.items() if value}


def test_the_form_has_every_word_of_the_api_with_its_description(browser):
    text = html.unescape(browser.get("/").text)
    for name, field in PlanWords.model_fields.items():
        if name in ELSEWHERE:
            continue
        assert re.search(rf'<(input|select) id="{name}" name="{name}"', text), name
        if name != "estimator":
            about = field.description.replace("null: ", "empty: ").replace("true: ", "yes: ")
            assert f"{about[1:]}</small>" in text
    assert set(OTHERS) | WINDOWS | ELSEWHERE == set(PlanWords.model_fields)


def test_what_is_chosen_is_asked_of_the_api(browser):
    job_id = browser.submit(expert_budget="3", **OTHERS)
    words = browser.api.http.get(f"/v1/plans/{job_id}").json()["request"]
    assert {name: words[name] for name in OTHERS} == {
        **OTHERS, "min_experts": 2, "max_experts": 6, "top_k": 1, "per_module": True, "rank": 4,
        "lora_alpha": 8.5, "ranged": True, "draws": 50, "seed": 7,
    }  # fmt: skip


def test_the_form_as_it_comes_asks_for_the_defaults(browser):
    sent = fields(browser.get("/").text) | {"model": browser.api.model, "expert_budget": "18"}
    by_form = browser.post("/", **sent).headers["location"].rpartition("/")[2]
    by_api = browser.api.plan(expert_budget=18).json()["id"]
    words = [browser.api.http.get(f"/v1/plans/{id}").json()["request"] for id in (by_form, by_api)]
    assert words[0] == words[1]


@pytest.mark.parametrize(
    ("name", "value"),
    [("rank", "2.5"), ("lora_alpha", "wide"), ("aspect", "other"), ("max_experts", "-"),
     ("per_module", "perhaps"), ("stability", "luck"), ("seed", "9" * 5000)],
)  # fmt: skip
def test_an_option_that_cannot_be_is_named_and_the_form_keeps_all(browser, name, value):
    given = {"model": browser.api.model, "expert_budget": "18", **OTHERS, name: value}
    refused = browser.post("/", **given)
    assert refused.status_code == 422
    text = refused.text
    detail = html.unescape(re.search(r'role="alert".*?</div>', text, re.DOTALL).group())
    assert name in detail.replace("-", "_")
    assert "<details open>" in text
    kept = fields(text)
    free = {each for each in given if each not in ("aspect", "per_module")}  # no such choice
    assert {each: kept[each] for each in free} == {each: given[each] for each in free}
    assert browser.api.count() == 0


def test_a_plan_again_with_another_estimator_and_other_options(browser):
    job_id = browser.planned(rank="4", top_k="1")
    shown = browser.get(f"/plans/{job_id}").text
    sent = fields(shown)
    assert (sent["rank"], sent["top_k"], sent["expert_budget"]) == ("4", "1", "18")
    for group in ("Which part of the model", "How to measure"):  # those have been measured
        assert not sent.keys() & set(NEW_PLAN[group])
    sent |= {"estimator": "ks", "max_experts": "4", "rank": "16"}
    other = browser.post(f"/plans/{job_id}/again", **sent).headers["location"].rpartition("/")[2]
    plan = browser.api.http.get(f"/v1/plans/{other}").json()["plan"]
    assert plan["parameters"]["estimator"] == "ks"
    assert max(layer["experts"] for layer in plan["layers"]) <= 4
    assert {module["rank"] for layer in plan["layers"] for module in layer["modules"]} == {16}
    assert 'value="ks" selected' in browser.get(f"/plans/{other}").text


def test_an_estimator_that_the_stored_precision_does_not_carry_is_measured_for(browser):
    job_id = browser.planned()
    by_htmx = {"Origin": "http://testserver", "HX-Request": "true"}
    place = f"/plans/{job_id}/again"
    sent = browser.post(place, by_htmx, expert_budget="18", estimator="peak")
    other = sent.headers["hx-redirect"]
    assert other.startswith("/jobs/pln_")
    pump(browser.api.ledger)
    assert 'class="state succeeded"' in browser.get(other).text
    assert 'value="peak" selected' in browser.get(other.replace("/jobs/", "/plans/")).text
