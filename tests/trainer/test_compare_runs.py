"""Whole comparisons of tiny models: paired, resumable, and honest about what failed."""

import os
import signal
import threading

import pytest

from tests.trainer.runs import pairs, recipe_in, topics
from trainer.compare.arms import comparison_of
from trainer.compare.document import Arm, Comparison
from trainer.compare.run import compare
from trainer.errors import InvalidRecipe
from trainer.finetune import loop
from trainer.finetune.checkpoints import found_in
from trainer.finetune.run import finetune

pytestmark = [
    pytest.mark.slow,
    pytest.mark.filterwarnings("ignore::FutureWarning"),
    pytest.mark.filterwarnings("ignore::DeprecationWarning"),
]

STEPS = 5


def small(folder, *, against=("uniform", "lora"), seeds=(0, 1, 2), **words):
    """A comparison of `mine`, a plan of 1 and 3 experts, with other arms."""
    rows = words.pop("rows", None) or pairs(64)
    recipe = recipe_in(folder, rows, task=words.get("task", "language"))
    changes = {
        "schedule.steps": STEPS, "schedule.batch": 8, "schedule.micro_batch": 4,
        "schedule.warmup_steps": 0, "checkpoints.every": 2, "data.length": 32,
        "optimiser.learning_rate": 1e-2,
    }  # fmt: skip
    given = {"task": "language", "changes": changes, **words}
    return comparison_of(
        {"mine": recipe.plan},
        base=recipe.base.model_dump(include={"path", "weights"}),
        data={"train": recipe.data.train},
        against=against,
        seeds=seeds,
        **given,
    )


@pytest.fixture
def seen(monkeypatch):
    """The token ids of every micro-batch that was trained on."""
    batches = []
    monkeypatch.setattr(
        loop.Metrics, "see", lambda self, inputs: batches.append(inputs["input_ids"].tolist())
    )
    return batches


def test_runs_are_paired_and_are_those_of_finetune(tmp_path, seen):
    comparison, said = small(tmp_path), []
    found = compare(comparison, tmp_path / "out", said.append)
    order = [line.partition(": ")[2] for line in said if line.startswith("run ")]
    assert order == [f"{arm}, seed {seed}" for seed in (0, 1, 2) for arm in ("mine", "uniform",
                                                                             "lora")]  # fmt: skip
    assert found.status == "finished"
    assert (found.measure, found.reference) == ("loss", "lora")
    each = 2 * STEPS
    by_run = [seen[start : start + each] for start in range(0, len(seen), each)]
    assert len(by_run) == 9
    for first in (0, 3, 6):
        assert by_run[first] == by_run[first + 1] == by_run[first + 2], "one order in all arms"
    assert by_run[0] != by_run[3] != by_run[6], "another one for each seed"
    # no arm changes the base before its first step, so one figure is one set of held-out samples
    assert len({run.loss_before for run in found.runs}) == 1
    assert len({run.loss for run in found.runs}) == 9
    arm, seed = comparison.runs[4]
    alone = finetune(arm.recipe_of(seed), tmp_path / "alone")
    assert (found.runs[4].arm, found.runs[4].seed) == ("uniform", 1)
    assert found.runs[4].loss == alone.after.loss
    assert alone.trainable_parameters == arm.recipe.plan.trainable_parameters
    by_arm = {each.name: each for each in found.arms}
    assert by_arm["uniform"].trainable_parameters == alone.trainable_parameters
    assert by_arm["lora"].loss.mean == pytest.approx(
        sum(run.loss for run in found.runs if run.arm == "lora") / 3
    )


def test_it_leaves_adapters_and_the_outcome_and_goes_on(tmp_path, seen):
    comparison = small(tmp_path, seeds=(0, 1))
    found = compare(comparison, tmp_path / "out")
    folders = sorted((tmp_path / "out" / "runs").iterdir())
    assert [path.name for path in folders] == [
        f"{arm}-{seed}" for arm in ("lora", "mine", "uniform") for seed in (0, 1)
    ]
    for folder in folders:
        assert found_in(folder) == []
        assert (folder / "adapter" / "adapter_model.safetensors").is_file()
    text = (tmp_path / "out" / "comparison.json").read_text()
    assert type(found).model_validate_json(text) == found
    assert found.verdict in (tmp_path / "out" / "comparison.md").read_text()
    made = len(seen)
    without = comparison.model_copy(update={"keep_adapters": False})
    assert compare(without, tmp_path / "out") == found
    assert len(seen) == made, "no run is made again"
    assert not any((folder / "adapter").exists() for folder in folders)
    with pytest.raises(InvalidRecipe, match="holds another comparison"):
        compare(small(tmp_path, seeds=(0, 1, 2)), tmp_path / "out")
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "thesis.tex").write_text("years of work")
    with pytest.raises(InvalidRecipe, match="holds no comparison"):
        compare(comparison, tmp_path / "full")


def test_two_arms_of_one_recipe_do_not_differ(tmp_path):
    recipe = small(tmp_path).arms[0].recipe
    arms = (Arm(name="one", recipe=recipe), Arm(name="two", recipe=recipe))
    twins = Comparison(arms=arms, reference="one", seeds=(0, 1, 2))
    found = compare(twins, tmp_path / "out")
    only = found.differences[0].by_seed
    assert (only.mean, only.standard_deviation, only.low, only.high) == (0.0, 0.0, 0.0, 0.0)
    assert found.verdict == "no difference beyond seed noise over 3 seeds."


def test_an_arm_that_fails_is_recorded_and_the_rest_goes_on(tmp_path):
    comparison = small(
        tmp_path, own_changes={"uniform": {"optimiser.learning_rate": 1e30}}, seeds=(0, 1, 2)
    )
    found = compare(comparison, tmp_path / "out")
    assert found.status == "finished"
    failed = {(run.arm, run.status) for run in found.runs}
    assert failed == {("mine", "finished"), ("lora", "finished"), ("uniform", "failed")}
    assert all("at step" in run.reason for run in found.failed)
    assert [each.arm for each in found.differences] == ["mine"]
    assert "left out, since a run failed: uniform" in found.verdict
    assert (
        "| uniform | – | – (0 of 3 seeds) | 3 failed | – |"
        in (tmp_path / "out" / "comparison.md").read_text()
    )


def test_classes_are_compared_by_accuracy(tmp_path):
    comparison = small(
        tmp_path, rows=topics(120), task="classification", against=("permuted",), seeds=(0, 1, 2)
    )
    found = compare(comparison, tmp_path / "out")
    assert (found.measure, found.reference) == ("accuracy", "mine")
    mine, other = found.arms
    assert other.permuted
    assert mine.plan_digest == other.plan_digest
    assert len({run.plan_digest for run in found.runs}) == 2, "two layers have one other order"
    assert 0 <= mine.accuracy.mean <= 1
    by_run = {(run.arm, run.seed): run.accuracy for run in found.runs}
    gaps = [by_run["permuted", seed] - by_run["mine", seed] for seed in (0, 1, 2)]
    assert found.differences[0].by_seed.mean == pytest.approx(sum(gaps) / 3)
    head = 2 * 32
    assert mine.trainable_parameters == comparison.arms[0].recipe.plan.trainable_parameters + head


@pytest.mark.parametrize("step", [3, STEPS])
def test_a_signal_stops_it_also_in_the_last_step_of_a_run(tmp_path, monkeypatch, step):
    """In the last step the run is done, and it is the next one that must not begin."""
    comparison = small(tmp_path, against=("lora",), seeds=(0, 1))
    whole = compare(comparison, tmp_path / "whole")
    ended, told, before = loop.Stopping.on_step_end, [], signal.getsignal(signal.SIGTERM)

    def tell(self, args, state, control, **words):
        if state.global_step == step and not told:
            told.append(step)
            os.kill(os.getpid(), signal.SIGTERM)
        ended(self, args, state, control, **words)

    monkeypatch.setattr(loop.Stopping, "on_step_end", tell)
    stopped = compare(comparison, tmp_path / "out")
    assert stopped.status == "stopped"
    done = [run.status for run in stopped.runs]
    assert done == ["finished" if step == STEPS else "missing", *["missing"] * 3]
    assert stopped.verdict.startswith(f"stopped after {int(step == STEPS)} of 4 runs")
    said = []
    assert compare(comparison, tmp_path / "out", said.append) == whole
    assert ("  going on from checkpoint-3" in said) == (step == 3)
    assert signal.getsignal(signal.SIGTERM) is before


def test_a_signal_before_the_first_step_stops_after_it(tmp_path, monkeypatch):
    """While a model is loaded only the comparison listens."""
    comparison = small(tmp_path, against=("lora",), seeds=(0,))
    begin = loop.Stopping.on_train_begin

    def tell(self, *arguments, **words):
        os.kill(os.getpid(), signal.SIGINT)
        begin(self, *arguments, **words)

    monkeypatch.setattr(loop.Stopping, "on_train_begin", tell)
    stopped = compare(comparison, tmp_path / "out")
    assert [(run.status, run.steps) for run in stopped.runs] == [("missing", 1), ("missing", None)]
    assert [path.name for path in found_in(tmp_path / "out" / "runs" / "mine-0")] == [
        "checkpoint-1"
    ]


def test_it_runs_in_a_thread_where_no_signal_is_heard(tmp_path):
    comparison, results = small(tmp_path, against=("lora",), seeds=(0,)), []
    thread = threading.Thread(target=lambda: results.append(compare(comparison, tmp_path / "out")))
    thread.start()
    thread.join()
    assert results[0].status == "finished"


def test_several_processes_are_refused(tmp_path, monkeypatch):
    monkeypatch.setenv("WORLD_SIZE", "2")
    with pytest.raises(InvalidRecipe, match="without torchrun"):
        compare(small(tmp_path, seeds=(0,)), tmp_path / "out")
    assert not (tmp_path / "out").exists()
