"""New heads on a half-precision base: trained, saved and loaded in float32."""

import pytest
import torch
import transformers
from peft import PeftModel
from safetensors.torch import load_file
from torch.nn import functional

from tests.trainer.runs import lively, recipe_in, topics, two_classes
from trainer.dataset.prepare import prepare
from trainer.evaluate import evaluate
from trainer.exports.base import load_tokenizer
from trainer.finetune.adapt import adapt
from trainer.finetune.base import load
from trainer.finetune.run import _place, finetune
from trainer.tuner.facts import load_adapter

pytestmark = [
    pytest.mark.filterwarnings("ignore::FutureWarning"),
    pytest.mark.filterwarnings("ignore::DeprecationWarning"),
]
HALF = {"task": "classification", "base__precision": "bfloat16"}
IDS = torch.tensor([[5, 9, 33, 7], [8, 3, 40, 12]])


def adapted(recipe):
    torch.manual_seed(0)
    return adapt(load(_place(recipe), recipe.base, "classification", ("high", "low")), recipe)


def heads_of(model):
    return {name: p for name, p in model.named_parameters() if "modules_to_save" in name}


@pytest.mark.parametrize("preset", ["alphalora", "lora", "prompt"])
@pytest.mark.parametrize("family", ["llama", "bert", "roberta"])
def test_a_new_head_is_float32_and_every_part_of_it_learns(tmp_path, family, preset):
    words = {} if preset != "prompt" else {"prompt__tokens": 4, "data__length": 16}
    words |= {"prompt__rank": 2} if preset == "prompt" else {}
    recipe = recipe_in(tmp_path, topics(8), family=family, preset=preset, **HALF, **words)
    model = adapted(recipe)
    assert {p.dtype for p in model.parameters() if not p.requires_grad} == {torch.bfloat16}
    found = model(input_ids=IDS, labels=torch.tensor([0, 1]))
    assert found.logits.dtype == torch.float32
    found.loss.backward()
    heads = heads_of(model)
    assert len(heads) == {"llama": 1, "bert": 2, "roberta": 4}[family]
    assert {p.dtype for p in heads.values()} == {torch.float32}
    assert all(p.grad is not None and p.grad.abs().max() > 0 for p in heads.values())


def test_its_gradient_is_that_of_a_float32_head(tmp_path):
    """From the hidden states of the half-precision base, by plain PyTorch."""
    model = adapted(recipe_in(tmp_path, topics(8), family="llama", **HALF)).eval()
    ((name, head),) = heads_of(model).items()
    labels = torch.tensor([0, 1])
    model(input_ids=IDS, labels=labels).loss.backward()
    with torch.no_grad():
        states = model.base_model.model.model(input_ids=IDS).last_hidden_state
    assert states.dtype == torch.bfloat16
    plain = head.detach().clone().requires_grad_()
    functional.cross_entropy(states[:, -1].float() @ plain.T, labels).backward()
    torch.testing.assert_close(head.grad, plain.grad, atol=1e-6, rtol=0)
    assert name.startswith("base_model.model.score.")


@pytest.mark.slow
@pytest.mark.parametrize("family", ["llama", "roberta"])
def test_it_learns_and_is_the_same_when_loaded_again(tmp_path, family):
    lively(tmp_path, family)
    recipe = recipe_in(
        tmp_path, two_classes(300), family=family, schedule__steps=40, checkpoints__every=40,
        optimiser__learning_rate=1e-2, **HALF,
    )  # fmt: skip
    trained = finetune(recipe, tmp_path / "run")
    assert trained.after.accuracy > 0.9
    folder = tmp_path / "run" / "adapter"
    saved = load_file(folder / "adapter_model.safetensors")
    heads = {name: value for name, value in saved.items() if "tailora" not in name}
    assert heads
    assert {value.dtype for value in saved.values()} == {torch.float32}
    assert any(not torch.equal(value, value.bfloat16().float()) for value in heads.values())
    held_out = prepare(recipe.data, load_tokenizer(_place(recipe)), task=None).held_out
    for loader in (load_adapter, PeftModel.from_pretrained):
        base = transformers.AutoModelForSequenceClassification.from_pretrained(
            tmp_path / "base", dtype=torch.bfloat16, num_labels=2, pad_token_id=2
        )
        model = loader(base, folder).eval()
        found = {name.replace(".modules_to_save.default", ""): p
                 for name, p in heads_of(model).items()}  # fmt: skip
        assert found.keys() == heads.keys()
        assert all(torch.equal(found[name], heads[name]) for name in heads)
        assert evaluate(model, held_out, 2).loss == pytest.approx(trained.after.loss, abs=1e-6)
