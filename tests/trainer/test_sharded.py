"""A base sharded over two processes, against one process over the same micro-batches."""

import json
import os
import re
import subprocess
import sys

import pytest
import torch
import transformers
from peft import PeftModel
from safetensors.torch import load_file

import trainer.tuner  # noqa: F401 - PEFT knows the method by it
from tests.trainer.runs import pairs, recipe_in, topics
from tests.trainer.started import TWO, lines_of, run_in_process, weights_of
from trainer.errors import TrainingStopped
from trainer.finetune.checkpoints import found_in, is_whole
from trainer.finetune.run import finetune

pytestmark = [
    pytest.mark.slow,
    pytest.mark.filterwarnings("ignore::FutureWarning"),
    pytest.mark.filterwarnings("ignore::DeprecationWarning"),
]

UNMASKED = {"mixture__mask": "none", "mixture__mask_rate": 0.0, "optimiser__learning_rate": 1e-2}
FSDP = ("--fsdp",)


def started(folder, out, where="never", step=0, words=TWO, options=FSDP):
    ended = run_in_process(folder, out, where, step, words, options)
    assert ended.returncode == 0 or where != "never", ended.stderr[-3000:]
    return ended


@pytest.fixture
def written(tmp_path):
    """`written(rows, …)`: a recipe of ten steps, as a file too."""

    def make(rows, **changes):
        recipe = recipe_in(tmp_path, rows, **{"schedule__steps": 10, **UNMASKED, **changes})
        (tmp_path / "recipe.json").write_text(recipe.to_json())
        return recipe

    return make


CASES = {
    "clipped": (pairs(200), {"optimiser__largest_gradient": 0.01, "optimiser__epsilon": 1e-3}),
    "half precision, recomputed": (
        pairs(200), {"base__precision": "bfloat16", "checkpointing": True},
    ),
    "a new head": (topics(120), {"task": "classification", "preset": "adamole"}),
    "plain": (pairs(200), {"preset": "lora"}),
}  # fmt: skip


@pytest.mark.parametrize("case", CASES)
def test_losses_are_those_of_one_process(tmp_path, written, case):
    rows, changes = CASES[case]
    written(rows, **changes)
    started(tmp_path, "one", words=(), options=())
    both = started(tmp_path, "two")
    for what, tolerance in (("loss", 1e-4), ("gradient_norm", 1e-3)):
        found = [[line[what] for line in lines_of(tmp_path / name)] for name in ("one", "two")]
        assert len(found[0]) == len(found[1]) == 10
        assert found[0] == pytest.approx(found[1], abs=tolerance)
    whole = sum(each.nbytes for each in load_file(tmp_path / "base" / "model.safetensors").values())
    if "precision" not in str(changes) and "task" not in changes:
        held = float(re.search(r"sharded: ([\d.]+) MB", both.stdout)[1]) * 1e6
        assert whole / 2 - 1e3 < held < whole * 0.55


def test_the_adapter_is_whole_and_the_model_that_of_one_process(tmp_path, written):
    written(pairs(200))
    started(tmp_path, "one", words=(), options=())
    started(tmp_path, "two")
    logits = []
    for name in ("one", "two"):
        base = transformers.LlamaForCausalLM.from_pretrained(tmp_path / "base")
        model = PeftModel.from_pretrained(base, tmp_path / name / "adapter").eval()
        logits.append(model(input_ids=torch.arange(3, 23).view(2, 10)).logits)
    torch.testing.assert_close(logits[0], logits[1], atol=1e-4, rtol=0)
    with model.disable_adapter():
        plain = model(input_ids=torch.arange(3, 23).view(2, 10)).logits
    assert (plain - logits[0]).abs().max() > 0.01


def test_killed_it_ends_as_if_it_never_was_even_where_sharding_comes_and_goes(tmp_path, written):
    """With masks, so that random states count."""
    written(pairs(200), mixture__mask="dropout", mixture__mask_rate=0.1)
    started(tmp_path, "calm")
    for where, step, options in (("step", 3, FSDP), ("files", 4, FSDP), ("seal", 6, ())):
        assert started(tmp_path, "killed", where, step, options=options).returncode != 0
    ended = started(tmp_path, "killed")
    assert "going on from checkpoint-4" in ended.stdout
    calm, killed = weights_of(tmp_path / "calm"), weights_of(tmp_path / "killed")
    assert calm.keys() == killed.keys()
    assert all(torch.equal(calm[name], killed[name]) for name in calm)
    kept = found_in(tmp_path / "killed")
    assert [path.name for path in kept] == ["checkpoint-8", "checkpoint-10"]
    assert all(is_whole(path) for path in kept)


def test_a_gradient_that_is_not_finite_ends_all_processes(tmp_path, written):
    written(pairs(64))
    ended = started(tmp_path, "run", "infinite", 4)
    assert ended.returncode == 1
    assert ended.stderr.count("a gradient is not finite at step 4") >= 2
    assert [path.name for path in found_in(tmp_path / "run")] == ["checkpoint-2"]


@pytest.mark.parametrize("asked", ["option", "environment"])
def test_one_process_has_nothing_to_share(tmp_path, written, monkeypatch, asked):
    recipe = written(pairs(64))
    if asked == "environment":
        monkeypatch.setenv("ACCELERATE_USE_FSDP", "true")
    with pytest.raises(TrainingStopped, match="torchrun --nproc-per-node"):
        finetune(recipe, tmp_path / "run", fsdp=asked == "option")
    monkeypatch.setenv("ACCELERATE_USE_FSDP", "true")
    monkeypatch.setenv("FSDP_OFFLOAD_PARAMS", "true")
    with pytest.raises(TrainingStopped, match="FSDP_OFFLOAD_PARAMS is set"):
        finetune(recipe, tmp_path / "run")


def test_the_command_by_accelerates_switch(tmp_path, written):
    """As `accelerate launch --use_fsdp --fsdp_version 2` sets it; the first process speaks."""
    recipe = written(pairs(64))
    (tmp_path / "plan.json").write_text(recipe.plan.to_json())
    words = ["train", tmp_path / "plan.json", "--data", tmp_path / "rows.jsonl", "--json"]
    words += ["--out", tmp_path / "run", "--set", "schedule.steps=2"]
    words += ["--set", "schedule.micro_batch=4", "--set", "schedule.batch=8"]
    switch = {"ACCELERATE_USE_FSDP": "true", "FSDP_VERSION": "2"}
    ended = subprocess.run(
        [sys.executable, *TWO, "-m", "service.cli", *map(str, words)],
        capture_output=True, text=True, env={**os.environ, **switch},
    )  # fmt: skip
    assert ended.returncode == 0, ended.stderr[-3000:]
    assert ended.stderr.count("the base is sharded: ") == 1
    assert json.loads(ended.stdout)["status"] == "finished"
    assert weights_of(tmp_path / "run")
