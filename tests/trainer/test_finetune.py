"""Runs of tiny models: they learn, they go on where they were cut off, and they end cleanly."""

import shutil

import pytest
import torch
import transformers
from safetensors.torch import load_file

from tests.trainer.conftest import randomise
from tests.trainer.plain import Plain
from tests.trainer.runs import pairs, recipe_in, topics
from tests.trainer.small import COEFFICIENT
from tests.trainer.started import TWO, lines_of, run_in_process
from trainer.errors import InvalidRecipe, ModelMismatch, TrainingStopped
from trainer.finetune import held_out, loop
from trainer.finetune.adapt import adapt
from trainer.finetune.base import load
from trainer.finetune.checkpoints import found_in, is_whole, last_whole, seal
from trainer.finetune.run import _place, finetune
from trainer.tuner.facts import load_adapter

pytestmark = [
    pytest.mark.slow,
    pytest.mark.filterwarnings("ignore::FutureWarning"),
    pytest.mark.filterwarnings("ignore::DeprecationWarning"),
]


def test_a_language_model_learns_to_answer(tmp_path):
    recipe = recipe_in(
        tmp_path, pairs(400), optimiser__learning_rate=1e-2, schedule__steps=80,
        checkpoints__every=40,
    )  # fmt: skip
    said = []
    trained = finetune(recipe, tmp_path / "run", said.append)
    assert trained.status == "finished"
    assert trained.after.loss < trained.before.loss - 0.3, "0.6 is what this head can say"
    assert any("held-out samples" in line for line in said)
    lines = lines_of(tmp_path / "run")
    assert lines[-1]["step"] == 80
    assert lines[-1]["loss"] < lines[0]["loss"]
    routers = lines[-1]["mixtures"]
    assert len(routers) == 7
    assert all(abs(sum(each["load_share"]) - 1) < 1e-4 for each in routers.values())
    again = finetune(recipe, tmp_path / "run")
    assert again == trained, "a run that has ended is not made again"


def test_the_adapter_is_that_of_the_run(tmp_path):
    recipe = recipe_in(tmp_path, pairs(64), schedule__steps=4)
    trained = finetune(recipe, tmp_path / "run")
    base = transformers.LlamaForCausalLM.from_pretrained(tmp_path / "base")
    model = load_adapter(base, tmp_path / "run" / "adapter").eval()
    assert model.peft_config["default"].plan_digest == recipe.plan.digest
    from trainer.dataset.prepare import prepare
    from trainer.evaluate import evaluate
    from trainer.exports.base import load_tokenizer

    tokenizer = load_tokenizer(_place(recipe))
    held_out = prepare(recipe.data, tokenizer, task=None).held_out
    assert evaluate(model, held_out, 2).loss == pytest.approx(trained.after.loss, abs=1e-6)


def test_a_step_of_the_loop_has_the_gradients_of_plain_autograd(tmp_path, monkeypatch):
    """Two micro-batches of texts of one length, so that the mean over tokens is that over both."""
    rows = [{"text": " ".join(f"w{3 + (7 * n + m) % 60}" for m in range(6))} for n in range(24)]
    recipe = recipe_in(
        tmp_path, rows, schedule__steps=1, mixture__mask="none", mixture__mask_rate=0.0,
        mixture__balance_coefficient=COEFFICIENT, optimiser__largest_gradient=1e9,
    )  # fmt: skip
    seen, batches, found = {}, [], {}
    monkeypatch.setattr(
        loop.Stopping, "on_train_begin",
        lambda self, *_, model, **words: seen.update(plain=Plain(randomise(model))),
    )  # fmt: skip
    monkeypatch.setattr(
        loop.Stopping, "on_pre_optimizer_step",
        lambda self, *_, model, **words: found.update(
            {n: p.grad.clone() for n, p in model.named_parameters() if p.grad is not None}
        ),
    )  # fmt: skip
    monkeypatch.setattr(loop.Metrics, "see", lambda self, inputs: batches.append(dict(inputs)))
    finetune(recipe, tmp_path / "run")
    assert len(batches) == 2
    wanted = seen["plain"].gradients(batches)
    assert found.keys() == wanted.keys()
    for name, gradient in wanted.items():
        torch.testing.assert_close(found[name], gradient, atol=1e-5, rtol=0)


def test_two_processes_have_the_losses_of_one_that_accumulates(tmp_path):
    recipe = recipe_in(
        tmp_path, pairs(200), schedule__steps=12, mixture__mask="none", mixture__mask_rate=0.0,
        optimiser__learning_rate=1e-2,
    )  # fmt: skip
    (tmp_path / "recipe.json").write_text(recipe.to_json())
    alone = run_in_process(tmp_path, "one", "never", 0)
    assert alone.returncode == 0, alone.stderr[-2000:]
    both = run_in_process(tmp_path, "two", "never", 0, TWO)
    assert both.returncode == 0, both.stderr[-3000:]
    losses = [[line["loss"] for line in lines_of(tmp_path / name)] for name in ("one", "two")]
    assert len(losses[0]) == len(losses[1]) == 12
    assert losses[0] == pytest.approx(losses[1], abs=1e-4)
    assert losses[0][0] - losses[0][-1] > 0.05


@pytest.mark.parametrize("preset", ["alphalora", "adamole", "lora_dropout", "lora"])
def test_a_classifier_with_each_preset(tmp_path, preset):
    recipe = recipe_in(
        tmp_path, topics(240), task="classification", preset=preset, schedule__steps=60,
        optimiser__learning_rate=1e-2, schedule__batch=16, checkpoints__every=60,
    )  # fmt: skip
    trained = finetune(recipe, tmp_path / "run")
    assert trained.after.accuracy > 0.9
    assert trained.after.loss < trained.before.loss


def test_the_plain_lora_has_as_many_parameters(tmp_path):
    mixed = recipe_in(tmp_path, pairs(20))
    plain = recipe_in(tmp_path, pairs(20), preset="lora")
    counts = []
    for recipe in (mixed, plain):
        model = adapt(load(_place(recipe), recipe.base, "language", None), recipe)
        counts.append(sum(p.numel() for p in model.parameters() if p.requires_grad))
    assert counts[0] == mixed.plan.trainable_parameters
    assert abs(counts[1] / counts[0] - 1) < 0.05


def test_killed_twelve_times_it_ends_as_if_it_never_was(tmp_path):
    """Half of the kills cut off a checkpoint."""
    recipe = recipe_in(tmp_path, pairs(200), schedule__steps=26)
    (tmp_path / "recipe.json").write_text(recipe.to_json())
    calm = run_in_process(tmp_path, "calm", "never", 0)
    assert calm.returncode == 0, calm.stderr[-2000:]
    deaths = [
        (["step", "files", "step", "seal"][number % 4], 2 * number + 2) for number in range(12)
    ]
    assert sum(where != "step" for where, _ in deaths) == 6
    for where, step in deaths:
        ended = run_in_process(tmp_path, "killed", where, step + (where == "step"))
        assert ended.returncode == -9, ended.stderr[-2000:]
    ended = run_in_process(tmp_path, "killed", "never", 0)
    assert ended.returncode == 0, ended.stderr[-2000:]
    assert "going on from checkpoint-" in ended.stdout
    weights = [load_file(tmp_path / name / "adapter" / "adapter_model.safetensors")
               for name in ("calm", "killed")]  # fmt: skip
    assert weights[0].keys() == weights[1].keys()
    assert all(torch.equal(weights[0][name], weights[1][name]) for name in weights[0])
    losses = [[(line["step"], line["loss"]) for line in lines_of(tmp_path / name)]
              for name in ("calm", "killed")]  # fmt: skip
    assert losses[0] == losses[1]


def test_a_stop_signal_ends_it_with_a_checkpoint(tmp_path, monkeypatch):
    recipe = recipe_in(tmp_path, pairs(64), schedule__steps=9, checkpoints__every=100)
    whole = finetune(recipe, tmp_path / "whole")
    step_ended = loop.Stopping.on_step_end

    def told(self, args, state, control, **words):
        if state.global_step == 5:
            import os
            import signal

            os.kill(os.getpid(), signal.SIGTERM)
        step_ended(self, args, state, control, **words)

    monkeypatch.setattr(loop.Stopping, "on_step_end", told)
    stopped = finetune(recipe, tmp_path / "run")
    assert (stopped.status, stopped.steps, stopped.after) == ("stopped", 5, None)
    assert not (tmp_path / "run" / "adapter").exists()
    monkeypatch.undo()
    assert finetune(recipe, tmp_path / "run") == whole


def test_a_loss_that_is_no_number_ends_it(tmp_path):
    recipe = recipe_in(tmp_path, pairs(64), optimiser__learning_rate=1e30, schedule__steps=9)
    with pytest.raises(TrainingStopped, match=r"the loss is \w+ at step \d; take a smaller"):
        finetune(recipe, tmp_path / "run")
    assert not (tmp_path / "run" / "adapter").exists()


def test_a_gradient_that_is_not_finite_gets_into_no_weight(tmp_path, monkeypatch):
    recipe = recipe_in(tmp_path, pairs(64), schedule__steps=6)

    def overflow(self, args, state, control, model, **words):
        router = next(p for n, p in model.named_parameters() if n.endswith("router"))
        router.register_hook(lambda g: g * float("inf") if state.global_step == 3 else g)

    monkeypatch.setattr(loop.Metrics, "on_train_begin", overflow)
    with pytest.raises(TrainingStopped, match="a gradient is not finite at step 4"):
        finetune(recipe, tmp_path / "run")
    kept = load_file(last_whole(tmp_path / "run") / "adapter_model.safetensors")
    assert all(torch.isfinite(value).all() for value in kept.values())


def test_a_checkpoint_that_cannot_be_written_leaves_the_one_before(tmp_path, monkeypatch):
    recipe = recipe_in(tmp_path, pairs(64), schedule__steps=6)
    save = transformers.Trainer._save_rng_state

    def full(self, folder):
        if self.state.global_step == 4:
            raise OSError(28, "No space left on device")
        save(self, folder)

    monkeypatch.setattr(transformers.Trainer, "_save_rng_state", full)
    with pytest.raises(TrainingStopped, match=r"step 4 could not be written: .*No space left"):
        finetune(recipe, tmp_path / "run")
    assert [path.name for path in found_in(tmp_path / "run")] == ["checkpoint-2"]
    monkeypatch.undo()
    assert finetune(recipe, tmp_path / "run").status == "finished"


def test_checkpoints_are_whole_or_not_there(tmp_path):
    for step in (2, 10):
        folder = tmp_path / f"checkpoint-{step}"
        folder.mkdir()
        (folder / "weights").write_bytes(b"x" * step)
        seal(folder)
    (tmp_path / "checkpoint-12").mkdir()
    assert last_whole(tmp_path).name == "checkpoint-10"
    assert [path.name for path in found_in(tmp_path)] == ["checkpoint-2", "checkpoint-10"]
    (tmp_path / "checkpoint-10" / "weights").write_bytes(b"y" * 10)
    assert not is_whole(tmp_path / "checkpoint-10")
    assert last_whole(tmp_path).name == "checkpoint-2"


@pytest.mark.parametrize("family", ["llama", "bert"])
def test_a_classifier_has_one_gradient_however_its_batch_is_cut(tmp_path, family):
    """Heads of classes give a mean whatever the loop tells them of the step's samples."""
    norms = []
    for micro in (8, 2):
        recipe = recipe_in(
            tmp_path, topics(40), task="classification", family=family, schedule__steps=1,
            schedule__micro_batch=micro, mixture__mask="none", mixture__mask_rate=0.0,
            mixture__balance="none",
        )  # fmt: skip
        finetune(recipe, tmp_path / f"run-{micro}")
        norms.append(lines_of(tmp_path / f"run-{micro}")[0]["gradient_norm"])
    assert norms[0] == pytest.approx(norms[1], rel=0.1), "the base's own dropout differs"


@pytest.mark.parametrize("lost", [["result.json"], ["result.json", "adapter"]])
def test_a_run_that_was_cut_off_after_its_last_step_makes_no_more(tmp_path, lost):
    recipe = recipe_in(
        tmp_path, pairs(60), schedule__steps=4, schedule__shape="constant",
        optimiser__learning_rate=1e-2,
    )  # fmt: skip
    trained = finetune(recipe, tmp_path / "run")
    file = tmp_path / "run" / "adapter" / "adapter_model.safetensors"
    weights = load_file(file)
    for name in lost:
        path = tmp_path / "run" / name
        shutil.rmtree(path) if path.is_dir() else path.unlink()
    assert finetune(recipe, tmp_path / "run") == trained
    again = load_file(file)
    assert all(torch.equal(weights[name], again[name]) for name in weights)


def test_checkpoints_may_hold_folders(tmp_path):
    """As those of states in several files do."""
    folder = tmp_path / "checkpoint-2"
    (folder / "optimizer_0" / "deep").mkdir(parents=True)
    for name in ("weights", "optimizer_0/.metadata", "optimizer_0/deep/part"):
        (folder / name).write_bytes(name.encode())
    seal(folder)
    assert is_whole(folder)
    (folder / "optimizer_0" / "deep" / "part").write_bytes(b"optimizer_0/deep/parT")
    assert not is_whole(folder)
    (folder / "optimizer_0" / "deep" / "part").unlink()
    assert last_whole(tmp_path) is None
    assert not folder.exists()


def test_the_evaluation_before_training_is_made_once(tmp_path, monkeypatch):
    recipe = recipe_in(tmp_path, pairs(64), schedule__steps=4)
    whole = finetune(recipe, tmp_path / "whole")
    made, evaluate = [], held_out.evaluate
    monkeypatch.setattr(held_out, "evaluate", lambda *a, **w: made.append(1) or evaluate(*a, **w))

    def fail(self, args, state, control, **words):
        if state.global_step == 3:
            raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(loop.Metrics, "on_step_end", fail, raising=False)
        with pytest.raises(KeyboardInterrupt):
            finetune(recipe, tmp_path / "run")
    assert len(made) == 1
    assert finetune(recipe, tmp_path / "run") == whole
    assert len(made) == 2
    (tmp_path / "run" / "result.json").unlink()
    (tmp_path / "run" / "before.json").write_text('{"samples": 6, "lo')
    assert finetune(recipe, tmp_path / "run") == whole, "what was cut off is made again"
    assert len(made) == 4


def test_other_data_is_another_recipe(tmp_path):
    first = recipe_in(tmp_path, pairs(64), schedule__steps=2)
    second = recipe_in(tmp_path, pairs(64, seed=1), schedule__steps=2)
    assert first.digest != second.digest
    with pytest.raises(InvalidRecipe, match="has changed since the recipe was made"):
        finetune(first, tmp_path / "run")


def test_a_folder_of_another_run_is_refused(tmp_path):
    recipe = recipe_in(tmp_path, pairs(64), schedule__steps=2)
    finetune(recipe, tmp_path / "run")
    other = recipe_in(tmp_path, pairs(64), schedule__steps=3)
    with pytest.raises(InvalidRecipe, match="holds a run of another recipe"):
        finetune(other, tmp_path / "run")
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "thesis.tex").write_text("years of work")
    with pytest.raises(InvalidRecipe, match="holds no run"):
        finetune(recipe, tmp_path / "full")


def test_a_base_that_is_not_the_plans_is_refused(tmp_path):
    recipe = recipe_in(tmp_path, pairs(64))
    weights = load_file(tmp_path / "base" / "model.safetensors")
    from safetensors.torch import save_file

    name = "model.layers.0.mlp.up_proj.weight"
    save_file(weights | {name: weights[name] + 1}, tmp_path / "base" / "model.safetensors")
    with pytest.raises(ModelMismatch, match="not those that the plan was made from"):
        finetune(recipe, tmp_path / "run")


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"schedule.batch": 7}, "no whole number of micro-batches"),
        ({"optimiser.learning_rate": -1}, "greater than 0"),
        ({"base.quantisation": "int3"}, "base.quantisation: Input should be 'none', 'nf4'"),
        ({"mixture.gates": "topk"}, "mixture.gates: Extra inputs"),
        ({"speed": 3}, "speed is no field to set"),
    ],
)
def test_recipes_that_cannot_be(tmp_path, changes, message):
    words = {key.replace(".", "__"): value for key, value in changes.items()}
    with pytest.raises(InvalidRecipe, match=message):
        recipe_in(tmp_path, pairs(4), **words)
    with pytest.raises(InvalidRecipe, match="give one of mola"):
        recipe_in(tmp_path, pairs(4), preset="best")
