"""With TAILORA_URL a service does the work, and a command prints what it prints without."""

import json
import re
import shutil
from pathlib import Path

import pytest

from tests.service.cli_service import serving
from tests.service.command import document, fails, run

NOWHERE = {"TAILORA_URL": "http://127.0.0.1:1"}


@pytest.fixture(scope="module")
def models(minilm, tmp_path_factory) -> Path:
    """MiniLM, and beside it what cannot be read."""
    folder = tmp_path_factory.mktemp("models")
    shutil.copytree(minilm, folder / "minilm")
    (folder / "cut").mkdir()
    shutil.copy(minilm / "config.json", folder / "cut")
    content = (minilm / "model.safetensors").read_bytes()
    (folder / "cut/model.safetensors").write_bytes(content[:100_000])
    (folder / "empty").mkdir()
    (folder / "pickled").mkdir()
    (folder / "pickled/pytorch_model.bin").write_bytes(b"\x80")
    return folder


@pytest.fixture(scope="module")
def running(models, tmp_path_factory):
    with serving(tmp_path_factory.mktemp("service"), "--models", models) as found:
        yield found


def without_provenance(made: dict) -> dict:
    own = {**made, "provenance": None}
    if own.get("estimate"):
        own["estimate"] = {**own["estimate"], "seconds": None}
    return own


def both(running, *words) -> tuple[str, str]:
    """What a command prints here, and what it prints with the service."""
    here, there = run(*words, "-q"), run(*words, "-q", **running.remote)
    assert there.stderr == here.stderr
    return here.stdout, there.stdout


@pytest.mark.parametrize(
    "words",
    [
        ("-b", 30),
        ("-b", 4.5, "--budget-kind", "mean", "--beta", 3, "--rounding", "webster"),
        ("-b", 60, "--per-module", "--modules", "query,value", "--rank", 4, "--lora-alpha", 8.5),
        ("--method", "mola", "--shape", "2468"),
        ("--method", "custom", "--counts", "1,2,3,4,5,6", "--top-k", 1),
        ("-b", 30, "--estimator", "ks", "--weighting", "parameters", "--max-experts", 9),
        ("-b", 30, "--stability", "all", "--draws", 20, "--seed", 3),
        ("-b", 2_000_000, "--budget-kind", "parameters", "--aspect", "marchenko_pastur"),
    ],
)
def test_a_plan_is_the_same(models, running, words):
    here, there = both(running, "plan", models / "minilm", *words)
    assert there == here
    assert "digest" in there


def test_a_plan_as_json_and_as_a_file(models, running, tmp_path):
    words = ("plan", models / "minilm", "-b", 30)
    here = document(*words)
    there = document(*words, "--out", tmp_path / "plan.json", **running.remote)
    assert without_provenance(there) == without_provenance(here)
    assert there["provenance"]["verified"] is here["provenance"]["verified"] is True
    assert json.loads((tmp_path / "plan.json").read_text()) == there
    listed = json.loads(run("jobs", "list", "--kind", "plan", "--json", **running.remote).stdout)
    stored = run("jobs", "show", listed["data"][0]["id"], "--json", **running.remote).stdout
    assert json.loads(stored)["plan"] == there


@pytest.mark.parametrize("words", [(), ("--all", "--aspect", "subsample", "--sample-rows", 64)])
def test_an_analysis_is_the_same(models, running, words):
    here, there = both(running, "analyze", models / "minilm", *words)
    assert there == here
    asked = ("analyze", models / "minilm", *words)
    made = [without_provenance(document(*asked, **how)) for how in ({}, running.remote)]
    assert made[0] == made[1]


def test_a_series_is_the_same(models, running):
    model = models / "minilm"
    here, there = both(running, "analyze", model, model / "model.safetensors")
    assert there == here
    assert there.startswith(f"1: {model}\n2: {model}/model.safetensors\n")


def test_an_outline_is_the_same(models, running):
    words = ("inspect", models / "minilm")
    texts = [run(*words, **how).stdout for how in (running.remote, {})]
    assert "to solve" in texts[0]
    # The seconds come from a product that is timed anew in each process.
    assert len({re.sub(r"about [\d.]+ m?s to solve", "", text) for text in texts}) == 1
    made = [without_provenance(document(*words, **how)) for how in ({}, running.remote)]
    assert made[0] == made[1]


@pytest.mark.parametrize(
    ("words", "code", "message"),
    [
        (("plan", "{models}/minilm", "-b", 3), 2, "use a budget of 6 or more"),
        (("plan", "{models}/minilm", "-b", 30, "--modules", "q_proj"), 2, "q_proj"),
        (("plan", "{models}/minilm", "-b", 30, "--beta", -1), 2, "beta"),
        (("plan", "{models}/minilm", "--method", "mola", "--stability", "all"), 2, "no alphas"),
        (("plan", "{models}/minilm", "-b", 30, "--estimator", "guess"), 2, "guess"),
        (("plan", "-b", 30), 2, "give a MODEL"),
        (("plan", "{models}/cut", "-b", 30), 5, "model.safetensors"),
        (("inspect", "{models}/cut"), 5, "model.safetensors"),
        (("analyze", "{models}/pickled"), 5, "safetensors"),
        (("plan", "{models}/none", "-b", 30), 4, "none"),
        (("inspect", "org/none"), 4, "HF_HUB_OFFLINE"),
    ],
)
def test_what_cannot_be_done_ends_alike(models, running, words, code, message):
    words = [str(word).format(models=models) for word in words]
    fails(*words, code=code, message=message)
    fails(*words, code=code, message=message, **running.remote)


def test_a_path_outside_the_folders(models, running, minilm):
    for path in (minilm, models / ".." / "other", "/etc"):
        fails("plan", path, "-b", 30, code=4, message="outside the folders", **running.remote)


def test_a_path_that_means_something_else_there(running, tmp_path, monkeypatch):
    (tmp_path / "org" / "model").mkdir(parents=True)
    monkeypatch.chdir(tmp_path)
    for command in (("plan", "-b", 30), ("analyze",), ("inspect",)):
        line = fails(*command, "org/model", code=2, message="lies here", **running.remote)
        assert str(tmp_path / "org/model") in line


@pytest.mark.parametrize(
    ("command", "option"),
    [
        ("plan", ("--device", "auto")),
        ("plan", ("--memory", "2GB")),
        ("plan", ("--cache", "folder")),
        ("analyze", ("--base", "other")),
        ("analyze", ("--compare-distributions",)),
        ("analyze", ("--device", "cpu")),
        ("inspect", ("--memory", "3GB")),
        ("inspect", ("--cache", "folder")),
    ],
)
def test_an_option_for_this_machine_is_refused(command, option):
    """Also where it says what is the default anyway; and before anybody is asked."""
    fails(command, "org/model", *option, code=2, message=f"{option[0]} is for this machine",
          **NOWHERE)  # fmt: skip


def test_scores_need_no_service(tmp_path):
    (tmp_path / "scores.json").write_text("[2, 1, 1]")
    words = ("plan", "--scores", tmp_path / "scores.json", "-b", 12, "--beta", 1)
    assert "experts: 6 3 3" in run(*words, **NOWHERE).stdout


def test_an_unknown_key_opens_nothing(models, running):
    for key in ("tlr_wrong", "x"):
        fails("plan", models / "minilm", "-b", 30, code=2, message="send a valid key",
              TAILORA_API_KEY=key, **running.remote)  # fmt: skip
