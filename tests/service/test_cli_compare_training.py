"""`tailora compare-training` as it is typed, and as it is killed."""

import json
import signal
import subprocess
import time
from contextlib import contextmanager

import pytest

from tests.service.command import command, fails, run, variables
from tests.trainer.runs import pairs, recipe_in, write_lines

pytestmark = pytest.mark.slow

ALONE = {"OMP_NUM_THREADS": 1}


@pytest.fixture
def words(tmp_path):
    """All of the command but where to write."""
    recipe = recipe_in(tmp_path, pairs(64))
    (tmp_path / "mine.json").write_text(recipe.plan.to_json())
    return given(tmp_path, "schedule.steps=12")


def given(folder, *changes):
    found = ["compare-training", str(folder / "mine.json"), "--data", str(folder / "rows.jsonl")]
    small = ("schedule.batch=8", "schedule.micro_batch=4", "checkpoints.every=3")
    for change in (*small, "data.length=32", "optimiser.learning_rate=1e-2", *changes):
        found += ["--set", change]
    return found


@contextmanager
def started(*arguments):
    with subprocess.Popen(
        command(*arguments), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        env=variables(**ALONE),
    ) as process:  # fmt: skip
        try:
            yield process
        finally:
            process.kill()


def wait_for(path, process):
    deadline = time.monotonic() + 200
    while not path.exists():
        assert process.poll() is None, process.stderr.read()
        assert time.monotonic() < deadline
        time.sleep(0.005)


def test_killed_it_goes_on_and_ends_as_if_it_never_was(tmp_path, words):
    calm = run(*words, "--seeds", 2, "--out", tmp_path / "calm", **ALONE)
    out = tmp_path / "killed"
    for place in ("mine-0/checkpoint-3", "mine-1/metrics.jsonl"):
        with started(*words, "--seeds", 2, "--out", out) as process:
            wait_for(out / "runs" / place, process)
            process.kill()
        assert process.returncode == -signal.SIGKILL
        assert not (out / "comparison.json").exists()
    ended = run(*words, "--seeds", 2, "--out", out, **ALONE)
    assert ended.stderr.count("going on from checkpoint-") <= 1, "the run that was under way"
    assert ended.stdout == calm.stdout
    for name in ("comparison.json", "comparison.md"):
        assert (out / name).read_bytes() == (tmp_path / "calm" / name).read_bytes()
    assert "2 seeds are too few to tell" in ended.stdout


def test_a_signal_ends_it_after_a_checkpoint(tmp_path, words):
    out = tmp_path / "out"
    longer = [*words, "--set", "schedule.steps=400", "--seeds", 1, "--out", out]
    with started(*longer) as process:
        wait_for(out / "runs" / "mine-0" / "checkpoint-3", process)
        process.send_signal(signal.SIGTERM)
        shown, said = process.communicate(timeout=120)
    assert process.returncode == 130, said
    assert "stopped after 0 of 2 runs: no verdict yet; the same command goes on" in shown
    assert "Traceback" not in said
    assert json.loads((out / "comparison.json").read_text())["status"] == "stopped"


def test_failed_runs_are_an_exit_code_and_lines(tmp_path, words):
    changes = ["--set-arm", "mola:31:optimiser.learning_rate=1e30"]
    arms = ["--against", "lora,mola:31", "--seeds", "3,5", "--no-adapters", "--json"]
    ended = run(*words, *arms, *changes, "--out", tmp_path / "out", code=1, **ALONE)
    assert json.loads(ended.stdout) == json.loads((tmp_path / "out/comparison.json").read_text())
    assert "mola-31, seed 5 failed: " in ended.stdout
    assert not list((tmp_path / "out").glob("runs/*/adapter"))
    seeds = {json.loads(path.read_text())["seed"]
             for path in (tmp_path / "out").glob("runs/*/recipe.json")}  # fmt: skip
    assert seeds == {3, 5}


def test_what_would_be_compared_and_what_cannot_be(tmp_path, words):
    shown = run(*words, "--arms-only", "--against", "uniform,mola:10,20,permuted", "--seeds", 4)
    made = json.loads(shown.stdout)
    assert [arm["name"] for arm in made["arms"]] == ["mine", "uniform", "mola-10-20", "permuted"]
    assert (made["seeds"], made["reference"]) == ([0, 1, 2, 3], "mine")
    (tmp_path / "other").mkdir()
    other = tmp_path / "other" / "mine.json"
    other.write_text((tmp_path / "mine.json").read_text())
    twice = [words[0], str(other), *words[1:]]
    fails(*twice, code=2, message="two plans are called mine; rename a file")
    for option, value, message in (
        ("--seeds", "0", "--seeds is '0'"),
        ("--seeds", "many", "--seeds is 'many'"),
        ("--against", "best", "'best' is no arm"),
        ("--set-arm", "lora", "lacks an arm or a value"),
        ("--preset", "best", "give one of mola"),
    ):
        fails(*words, option, value, code=2, message=message)
    bad = write_lines(tmp_path / "bad.jsonl", [{"frage": "a", "antwort": "b"}])
    fails(*words[:2], "--data", bad, code=2, message="frage")
