"""Mixtures on bases whose weights are quantised: these are only called, never touched."""

import pytest
import torch
import transformers
from peft import get_peft_model

from allocator.planner import plan
from analyzer.api import outline
from tests.trainer.conftest import randomise
from trainer.errors import NotExportable
from trainer.tuner import MixtureConfig
from trainer.tuner.facts import load_adapter, mixtures

pytestmark = [
    pytest.mark.filterwarnings("ignore::FutureWarning"),
    pytest.mark.filterwarnings("ignore::DeprecationWarning"),
]
IDS = torch.tensor([[5, 9, 33, 7, 12, 40, 8, 3]])


@pytest.fixture
def wide(tmp_path):
    """A model as wide as the quantisation's blocks, and a plan."""
    words = {"hidden_size": 64, "intermediate_size": 128, "num_hidden_layers": 2}
    config = transformers.LlamaConfig(
        **words, num_attention_heads=4, num_key_value_heads=2, vocab_size=64, pad_token_id=0
    )
    torch.manual_seed(0)
    transformers.LlamaForCausalLM(config).save_pretrained(tmp_path / "llama")

    def planned(*counts):
        shape = {"method": "custom", "parameters": {"counts": counts}}
        return plan(outline(tmp_path / "llama"), **shape)

    return planned


def base_of(folder, bits):
    words = {"load_in_4bit": True, "bnb_4bit_quant_type": "nf4"}
    words = words if bits == 4 else {"load_in_8bit": True}
    quantised = transformers.BitsAndBytesConfig(**words)
    return transformers.LlamaForCausalLM.from_pretrained(
        folder, quantization_config=quantised, device_map="cpu", dtype=torch.float32
    )


@pytest.mark.parametrize(("bits", "kind"), [(4, "Linear4bit"), (8, "Linear8bitLt")])
def test_it_trains_and_reloads(wide, tmp_path, bits, kind):
    made = wide(1, 5)
    model = get_peft_model(base_of(tmp_path / "llama", bits), MixtureConfig.from_plan(made)).train()
    layer = model.get_submodule("base_model.model.model.layers.1.mlp.up_proj")
    assert type(layer.base_layer).__name__ == kind
    before = {name: p.clone() for name, p in model.named_parameters() if "base_layer" in name}
    optimizer = torch.optim.AdamW([p for p in model.parameters() if p.requires_grad], lr=1e-2)
    losses = []
    for _ in range(8):
        loss = model(input_ids=IDS, labels=IDS).loss
        loss.backward()
        optimizer.step()
        optimizer.zero_grad()
        losses.append(loss.item())
    assert losses[-1] < losses[0] - 0.5
    assert all(torch.equal(model.get_parameter(name), value) for name, value in before.items())
    model.eval().save_pretrained(tmp_path / "adapter")
    again = load_adapter(base_of(tmp_path / "llama", bits), tmp_path / "adapter").eval()
    with torch.no_grad():
        assert torch.equal(again(input_ids=IDS).logits, model(input_ids=IDS).logits)


def test_experts_may_begin_in_the_weights_own_directions(wide, tmp_path):
    """The weight is read by calling the layer, so it is the quantised one."""
    made = wide(1, 2)
    config = MixtureConfig.from_plan(made, init="singular")
    model = get_peft_model(base_of(tmp_path / "llama", 4), config)
    mixture = mixtures(model)["model.layers.0.self_attn.q_proj"]
    layer = model.get_submodule("base_model.model.model.layers.0.self_attn.q_proj").base_layer
    with torch.no_grad():
        weight = layer(torch.eye(64)).T
    _, _, right = torch.linalg.svd(weight)
    cosines = (mixture.experts_A[0].detach() * 3**0.5 @ right[:8].T).square().sum(dim=1)
    assert cosines.min() > 0.9


def test_it_is_not_merged_into(wide, tmp_path):
    made = wide(1, 1)
    model = get_peft_model(base_of(tmp_path / "llama", 4), MixtureConfig.from_plan(made))
    with pytest.raises(NotExportable, match="base weight is quantised"):
        randomise(model).merge_and_unload()
