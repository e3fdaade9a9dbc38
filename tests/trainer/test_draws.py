"""Several draws of masks a micro-batch: one pass and one backward pass for each."""

import pytest
import torch

from tests.trainer.conftest import randomise
from tests.trainer.plain import Plain
from tests.trainer.runs import pairs, recipe_in
from tests.trainer.small import COEFFICIENT
from tests.trainer.test_finetune import lines_of, run_in_process
from trainer.finetune import loop
from trainer.finetune.run import finetune

pytestmark = [
    pytest.mark.slow,
    pytest.mark.filterwarnings("ignore::FutureWarning"),
    pytest.mark.filterwarnings("ignore::DeprecationWarning"),
]
TOLERANCE = 1e-5


@pytest.fixture
def step(tmp_path, monkeypatch):
    """One step of the loop of two micro-batches: its gradients, what plain autograd has, passes."""

    def make(name, reentrant=False, **words):
        rows = [{"text": " ".join(f"w{3 + (7 * n + m) % 60}" for m in range(6))} for n in range(24)]
        recipe = recipe_in(
            tmp_path, rows, schedule__steps=1, mixture__balance_coefficient=COEFFICIENT,
            optimiser__largest_gradient=1e9, mixture__mask="lora_dropout", **words,
        )  # fmt: skip
        seen = {"batches": [], "passes": []}

        def begin(self, *_, model, **__):
            if reentrant:
                model.enable_input_require_grads()
                model.gradient_checkpointing_enable({"use_reentrant": True})
            randomise(model)
            with torch.no_grad():  # routers stay: a sure one has picks that only rounding decides
                for name, parameter in model.named_parameters():
                    if parameter.ndim > 1 and "router" not in name:
                        parameter.mul_(3)
            seen["plain"] = Plain(model)
            base = model.get_base_model()
            base.register_forward_hook(lambda *_: seen["passes"].append("forward"))
            base.lm_head.register_full_backward_hook(lambda *_: seen["passes"].append("backward"))

        def end(self, *_, model, **__):
            named = model.named_parameters()
            seen["found"] = {n: p.grad.clone() for n, p in named if p.grad is not None}

        monkeypatch.setattr(loop.Stopping, "on_train_begin", begin)
        monkeypatch.setattr(loop.Stopping, "on_pre_optimizer_step", end)
        monkeypatch.setattr(
            loop.Metrics, "see", lambda self, inputs: seen["batches"].append(dict(inputs))
        )
        finetune(recipe, tmp_path / name)
        return seen

    return make


def equal(found, wanted):
    assert found.keys() == wanted.keys()
    for name, gradient in wanted.items():
        torch.testing.assert_close(found[name], gradient, atol=TOLERANCE, rtol=0)


@pytest.mark.parametrize("reentrant", [False, True])
@pytest.mark.parametrize("balance", ["sound", "mola"])
def test_recomputing_activations_changes_no_gradient(step, balance, reentrant):
    """Draws differ, and so do the picks of the upper layer that the mola loss pools."""
    words = {"mixture__balance": balance, "mixture__mask_rate": 0.5, "mixture__mask_draws": 3}
    kept = step("kept", **words)
    recomputed = step("recomputed", reentrant, **words, checkpointing=True)
    equal(recomputed["found"], kept["found"])
    other = step("fewer", **{**words, "mixture__mask_draws": 2})
    routers = [name for name in kept["found"] if "layers.1" in name and "router" in name]
    assert max((kept["found"][n] - other["found"][n]).abs().max() for n in routers) > 1e-3


@pytest.mark.parametrize("checkpointing", [False, True])
def test_the_step_is_the_mean_over_draws(step, checkpointing):
    """Nothing is masked here, so that each draw has the gradients of plain autograd."""
    words = {"mixture__balance": "mola", "mixture__mask_rate": 0.0, "mixture__mask_draws": 2}
    seen = step("run", **words, checkpointing=checkpointing)
    assert len(seen["batches"]) == 2
    equal(seen["found"], seen["plain"].gradients(seen["batches"]))
    passes = [each for each in seen["passes"] if each == "backward"]
    assert len(passes) == 4


def test_each_draw_has_its_backward_pass_before_the_next(step):
    seen = step("run", mixture__balance="none", mixture__mask_rate=0.2, mixture__mask_draws=2)
    during = seen["passes"][seen["passes"].index("backward") - 1 :]
    assert during[:8] == ["forward", "backward"] * 4


def test_two_processes_have_the_losses_of_one(tmp_path):
    recipe = recipe_in(
        tmp_path, pairs(100), schedule__steps=10, mixture__mask="lora_dropout",
        mixture__mask_rate=0.0, mixture__mask_draws=2, optimiser__learning_rate=1e-2,
    )  # fmt: skip
    (tmp_path / "recipe.json").write_text(recipe.to_json())
    words = ["-m", "torch.distributed.run", "--standalone", "--nproc-per-node=2"]
    for name, before in (("one", ()), ("two", words)):
        ended = run_in_process(tmp_path, name, "never", 0, before)
        assert ended.returncode == 0, ended.stderr[-3000:]
    one, two = ([line["loss"] for line in lines_of(tmp_path / name)] for name in ("one", "two"))
    assert len(one) == 10
    assert one == pytest.approx(two, abs=1e-4)
    assert one[0] - one[-1] > 0.02
