"""The command and the curl call that a plan's page offers ask for that very plan."""

import html
import json
import re
import shlex

import pytest
from typer.main import get_command

from service.cli.main import app
from worker.requests import PlanWords

PLANS = {
    "alphalora": {"method": "alphalora", "alphalora.beta": "1.5"},
    "mola": {"method": "mola", "mola.shape": "123", "expert_budget": ""},
    "custom": {"method": "custom", "custom.counts": "1,2,3 4 5 6", "expert_budget": ""},
    "other estimator": {"method": "alphalora", "estimator": "ks", "expert_budget": "20"},
}


def offered(browser, job_id: str) -> tuple[list[str], list[str]]:
    """Words of the command, and of curl."""
    text = browser.get(f"/plans/{job_id}").text
    command, curl = re.findall(r"<textarea[^>]*>(.*?)</textarea>", text, re.DOTALL)
    return shlex.split(html.unescape(command)), shlex.split(html.unescape(curl))


@pytest.mark.parametrize("name", PLANS)
def test_the_same_plan(browser, name):
    job_id = browser.planned(**PLANS[name])
    command, curl = offered(browser, job_id)
    plan = browser.api.http.get(f"/v1/plans/{job_id}").json()["plan"]
    body = json.loads(curl[curl.index("-d") + 1])
    again = browser.api.http.post("/v1/plans", json=body).json()["plan"]
    assert again["digest"] == plan["digest"]
    assert command[:2] == ["tailora", "plan"]
    words = get_command(app).commands["plan"].make_context("plan", command[2:]).params
    assert words["model"] == browser.api.model
    assert words["method"] == plan["method"]
    assert words["budget"] in (None, plan["budget"]["experts"])
    assert words["estimator"] == PLANS[name].get("estimator", "hill")
    asked = {key: words[key] for key in ("beta", "shape", "counts") if words[key] is not None}
    expected = {"alphalora": {"beta": 1.5}, "mola": {"shape": "123"},
                "custom": {"counts": "1,2,3,4,5,6"}, "other estimator": {"beta": 2.5}}  # fmt: skip
    assert asked == expected[name]


def test_every_word_of_a_plan_is_an_option_of_the_command(browser):
    job_id = browser.api.done(
        min_experts=2, rank=4, lora_alpha=8.0, top_k=1, rounding="webster", modules=["q_proj"],
        precision="float64", solver="svd", weighting="parameters", estimator="peak",
    )["id"]  # fmt: skip
    command, _ = offered(browser, job_id)
    words = get_command(app).commands["plan"].make_context("plan", command[2:]).params
    job = browser.api.http.get(f"/v1/plans/{job_id}").json()
    different = {
        name: value
        for name, value in job["request"].items()
        if name in words and value != PlanWords.model_fields[name].default
    }
    assert len(different) >= 8
    for name, value in different.items():
        told = words[name].split(",") if name == "modules" else words[name]
        assert told == value, name
