"""The outline of every family, saved by transformers, against what is known of each."""

import pytest
import transformers as t

from allocator.live import match_plan
from allocator.planner import plan
from analyzer.outline import Outline, modules_of
from analyzer.scan import outline
from analyzer.source import open_source
from tests.families import FAMILIES, save_family

LLAMA = (
    "mlp.down_proj mlp.gate_proj mlp.up_proj self_attn.k_proj self_attn.o_proj self_attn.q_proj "
    "self_attn.v_proj"
)
FALCON = (
    "mlp.dense_4h_to_h mlp.dense_h_to_4h self_attention.dense self_attention.query_key_value#q "
    "self_attention.query_key_value#k self_attention.query_key_value#v"
)
BERT = (
    "attention.output.dense attention.self.key attention.self.query attention.self.value "
    "intermediate.dense output.dense"
)
ATTENTION = "self_attn.k_proj self_attn.o_proj self_attn.q_proj self_attn.v_proj"
GPT2 = "attn.c_attn#q attn.c_attn#k attn.c_attn#v attn.c_proj mlp.c_fc mlp.c_proj"
T5_ENCODER = (
    "layer.0.SelfAttention.k layer.0.SelfAttention.o layer.0.SelfAttention.q "
    "layer.0.SelfAttention.v layer.1.DenseReluDense.wi layer.1.DenseReluDense.wo"
)

ADAPTABLE = {
    **dict.fromkeys(("llama", "mistral", "qwen2", "qwen3", "gemma2"), {"text": LLAMA}),
    **dict.fromkeys(("mixtral", "qwen3_moe", "gpt_oss", "granite_moe"), {"text": ATTENTION}),
    **dict.fromkeys(("falcon", "falcon_grouped", "falcon_rw", "bloom"), {"text": FALCON}),
    **dict.fromkeys(("bert", "roberta"), {"text": BERT}),
    **dict.fromkeys(("gpt2", "gpt_bigcode"), {"text": GPT2}),
    "phi": {
        "text": "mlp.fc1 mlp.fc2 self_attn.dense self_attn.k_proj self_attn.q_proj self_attn.v_proj"
    },
    "phi3": {
        "text": "mlp.down_proj mlp.gate_up_proj#gate mlp.gate_up_proj#up self_attn.o_proj "
        "self_attn.qkv_proj#q self_attn.qkv_proj#k self_attn.qkv_proj#v"
    },
    "codegen": {
        "text": "attn.out_proj attn.qkv_proj#q attn.qkv_proj#v attn.qkv_proj#k mlp.fc_in mlp.fc_out"
    },
    "deberta": {
        "text": "attention.output.dense attention.self.in_proj#q attention.self.in_proj#k "
        "attention.self.in_proj#v intermediate.dense output.dense"
    },
    "gpt_neox": {
        "text": "attention.dense attention.query_key_value#q attention.query_key_value#k "
        "attention.query_key_value#v mlp.dense_4h_to_h mlp.dense_h_to_4h"
    },
    "modernbert": {
        "text": "attn.Wo attn.Wqkv#q attn.Wqkv#k attn.Wqkv#v mlp.Wi#gate mlp.Wi#up mlp.Wo"
    },
    "opt": {
        "text": "fc1 fc2 self_attn.k_proj self_attn.out_proj self_attn.q_proj self_attn.v_proj"
    },
    "t5": {
        "encoder": T5_ENCODER,
        "decoder": "layer.0.SelfAttention.k layer.0.SelfAttention.o layer.0.SelfAttention.q "
        "layer.0.SelfAttention.v layer.1.EncDecAttention.k layer.1.EncDecAttention.o "
        "layer.1.EncDecAttention.q layer.1.EncDecAttention.v layer.2.DenseReluDense.wi "
        "layer.2.DenseReluDense.wo",
    },
    "vit": {
        "vision": "attention.attention.key attention.attention.query attention.attention.value "
        "attention.output.dense intermediate.dense output.dense"
    },
    "llava": {
        "vision": "mlp.fc1 mlp.fc2 self_attn.k_proj self_attn.out_proj self_attn.q_proj "
        "self_attn.v_proj",
        "text": LLAMA,
    },
    "qwen2_vl": {
        "text": LLAMA,
        "vision": "attn.proj attn.qkv#q attn.qkv#k attn.qkv#v mlp.fc1 mlp.fc2",
    },
    "llama4": {
        "text": "feed_forward.shared_expert.down_proj feed_forward.shared_expert.gate_proj "
        "feed_forward.shared_expert.up_proj " + ATTENTION
    },
    "deepseek_v3": {
        "text": "mlp.down_proj mlp.gate_proj mlp.up_proj self_attn.kv_a_proj_with_mqa "
        "self_attn.kv_b_proj self_attn.o_proj self_attn.q_a_proj self_attn.q_b_proj"
    },
}

EXPERTS_IN_LAYER_1 = {
    "mixtral": 3 * 3, "qwen3_moe": 3 * 3, "gpt_oss": 3 * 3, "llama4": 3 * 3, "granite_moe": 3 * 3,
    "deepseek_v3": 4 * 3,
}  # fmt: skip


@pytest.fixture(params=sorted(FAMILIES))
def saved(request, tmp_path):
    model = save_family(request.param, tmp_path)
    return request.param, model, outline(open_source(str(tmp_path))), tmp_path


def names(found: Outline, stack: str, layer: int, role: str) -> list[str]:
    return [
        f"{matrix.module}#{matrix.part}" if matrix.part else str(matrix.module)
        for matrix in found.matrices
        if (matrix.stack, matrix.layer, matrix.role) == (stack, layer, role)
    ]


def test_family(saved):
    family, model, found, folder = saved
    assert {stack.name: stack.layers for stack in found.stacks} == dict.fromkeys(
        ADAPTABLE[family], 2
    )
    for stack, expected in ADAPTABLE[family].items():
        assert names(found, stack, 0, "adaptable") == expected.split()
    stack = "text" if "text" in ADAPTABLE[family] else next(iter(ADAPTABLE[family]))
    experts = names(found, stack, 1, "expert")
    assert len(experts) == EXPERTS_IN_LAYER_1.get(family, 0)
    assert len(names(found, stack, 1, "router")) == (family in EXPERTS_IN_LAYER_1)
    assert not found.warnings
    every_tensor_is_accounted_for(found, folder)
    it_matches_the_live_model(found, model)
    it_matches_the_reloaded_model(found, model, folder)


def every_tensor_is_accounted_for(found: Outline, folder) -> None:
    source = open_source(str(folder))
    stored = {tensor.name for file in source.files for tensor in source.tensors(file)}
    used = {matrix.tensor for matrix in found.matrices}
    skipped = {tensor.tensor for tensor in found.skipped}
    assert used | skipped == stored
    assert not used & skipped
    sizes = {tensor.name: tensor.nbytes for file in source.files for tensor in source.tensors(file)}
    assert sum(matrix.bytes for matrix in found.matrices) == sum(sizes[name] for name in used)


def it_matches_the_live_model(found: Outline, model) -> None:
    """Every module of the plan is a linear layer of the live model, of the same shape."""
    made = plan(found, method="uniform", budget=2, budget_kind="mean", stack="all")
    match = match_plan(made, model)
    live = dict(model.named_modules())
    planned = [module for layer in made.layers for module in layer.modules]
    assert len(match.modules) == len(planned)
    for name, module in match.modules.items():
        weight = live[name].weight
        expected = weight.T.shape if type(live[name]).__name__ == "Conv1D" else weight.shape
        assert module.shape == tuple(expected)
        assert name.endswith(str(module.live))
    adaptable = [matrix for matrix in found.matrices if matrix.role == "adaptable"]
    assert len(modules_of(adaptable)) == len(planned)


def it_matches_the_reloaded_model(found: Outline, model, folder) -> None:
    """Names change when a base model is loaded without its head; the match does not."""
    base = t.AutoModel.from_pretrained(folder)
    made = plan(found, method="uniform", budget=2, budget_kind="mean", stack="all")
    assert len(match_plan(made, base).modules) == len(match_plan(made, model).modules)


def test_vit_modules_have_other_names_when_live(tmp_path):
    model = save_family("vit", tmp_path)
    made = plan(outline(open_source(str(tmp_path))), method="uniform", budget=4)
    first = match_plan(made, model).plan.layers[0]
    renamed = {module.name: module.live for module in first.modules}
    assert renamed["attention.attention.query"] == "attention.q_proj"
