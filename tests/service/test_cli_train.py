"""`tailora train` as it is typed."""

import json

import pytest

from tests.service.command import fails, run
from tests.trainer.runs import pairs, recipe_in, write_lines

pytestmark = pytest.mark.slow


def test_train_and_go_on(tmp_path):
    recipe = recipe_in(tmp_path, pairs(64))
    plan, data = tmp_path / "plan.json", str(tmp_path / "rows.jsonl")
    plan.write_text(recipe.plan.to_json())
    words = ["train", str(plan), "--data", data, "--out", str(tmp_path / "run")]
    words += ["--set", "schedule.steps=2", "--set", "schedule.batch=8"]
    shown = run(*words, "--recipe-only")
    made = json.loads(shown.stdout)
    assert (made["schedule"]["steps"], made["preset"]) == (2, "alphalora")
    assert not (tmp_path / "run").exists()
    first = run(*words)
    assert first.stdout.strip() == f"the adapter is in {tmp_path / 'run' / 'adapter'}"
    assert "before training: loss" in first.stderr
    again = run(*words, "--json")
    assert json.loads(again.stdout)["status"] == "finished"
    other = (*words, "--set", "schedule.steps=3")
    fails(*other, code=2, message="holds a run of another recipe")
    fails(*words, "--preset", "best", code=2, message="give one of mola")
    fails(*words, "--set", "schedule.steps", code=2, message="has no value")
    bad = write_lines(tmp_path / "bad.jsonl", [{"frage": "a", "antwort": "b"}])
    fails("train", plan, "--data", bad, code=2, message="frage")
