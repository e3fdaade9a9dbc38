"""`tailora eval` as it is typed."""

import json
import re

import pytest

from tests.service.command import fails, run
from tests.trainer.runs import pairs, recipe_in, write_lines
from trainer.finetune.run import finetune

pytestmark = [
    pytest.mark.slow,
    pytest.mark.filterwarnings("ignore::FutureWarning"),
    pytest.mark.filterwarnings("ignore::DeprecationWarning"),
]


def test_eval(tmp_path):
    """The table says what the JSON says, of a run, and of its adapter with a base."""
    recipe = recipe_in(tmp_path, pairs(64), schedule__steps=4)
    trained = finetune(recipe, tmp_path / "run")
    data = write_lines(tmp_path / "new.jsonl", pairs(9, seed=4))
    words = ("eval", tmp_path / "run", "--data", data, "--device", "cpu", "--exact-match", 5)
    shown = run(*words, "--json")
    assert shown.stderr == ""
    made = json.loads(shown.stdout)
    measured = made["evaluation"]
    assert made["schema"] == "tailora.evaluation/1"
    assert (measured["samples"], measured["tokens"], measured["accuracy"]) == (9, 18, None)
    assert measured["exact_match_samples"] == 5
    adapter = ("eval", tmp_path / "run" / "adapter", "--model", tmp_path / "base", "--data", data)
    table = run(*adapter, "--batch", 2, "--device", "cpu").stdout
    for name in ("loss", "perplexity"):
        (value,) = re.findall(rf"{name} +([\d.]+)", table)
        assert float(value) == pytest.approx(measured[name], abs=2e-4)
    assert "exact match" not in table
    alone = json.loads(run(*words, "--base-only", "--json").stdout)
    assert alone["base_only"]
    assert alone["evaluation"]["loss"] != measured["loss"]
    assert trained.after.loss < trained.before.loss

    bad = write_lines(tmp_path / "bad.jsonl", [{"frage": "a"}])
    words = ("eval", tmp_path / "run", "--data", bad)
    fails(*words, code=2, message="has the columns frage")
    fails("eval", tmp_path / "base", "--data", data, code=5, message="is no adapter and no run")
