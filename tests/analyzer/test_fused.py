"""Each split of a fused weight against what the live model computes with it."""

from collections.abc import Callable

import pytest
import torch
from transformers import AttentionInterface, AttentionMaskInterface
from transformers.integrations.sdpa_attention import sdpa_attention_forward
from transformers.masking_utils import sdpa_mask

from analyzer.decode import read_matrix
from analyzer.scan import outline
from analyzer.source import open_source
from tests.families import save_family

QKV = {
    "phi3": "self_attn.qkv_proj", "gpt2": "attn.c_attn", "gpt_bigcode": "attn.c_attn",
    "gpt_neox": "attention.query_key_value", "modernbert": "attn.Wqkv",
}  # fmt: skip
RESHAPING = {"falcon", "falcon_grouped", "falcon_rw", "bloom"}


def parts_of(folder, module: str, layer: int = 0, stack: str = "text") -> dict[str, torch.Tensor]:
    """Every part of a module, as the analysis would solve it; 3-D experts by `expert.part`."""
    source = open_source(str(folder))
    parts = {}
    for matrix in outline(source).matrices:
        if (matrix.module, matrix.layer, matrix.stack) == (module, layer, stack):
            key = matrix.part if matrix.view.expert is None else f"{matrix.expert}.{matrix.part}"
            parts[str(key)] = read_matrix(source, matrix)
            assert tuple(parts[str(key)].shape) == matrix.shape
    return parts


def fused_module(model, suffix: str) -> torch.nn.Module:
    return next(module for name, module in model.named_modules() if name.endswith(f"0.{suffix}"))


def record(model, run: Callable[[], object]) -> list[tuple[torch.Tensor, ...]]:
    """q, k, v of every attention call, shape (batch, heads, tokens, head size)."""
    calls: list[tuple[torch.Tensor, ...]] = []

    def recorder(module, query, key, value, *args, **options):
        calls.append((query, key, value))
        return sdpa_attention_forward(module, query, key, value, *args, **options)

    AttentionInterface.register("recorder", recorder)
    AttentionMaskInterface.register("recorder", sdpa_mask)
    model.set_attn_implementation("recorder")
    with torch.no_grad():
        run()
    return calls


def inputs_of(module: torch.nn.Module) -> list[torch.Tensor]:
    seen: list[torch.Tensor] = []
    module.register_forward_pre_hook(lambda _, given: seen.append(given[0].detach()))
    return seen


def flat(heads: torch.Tensor) -> torch.Tensor:
    """(batch, heads, 1, size) as (batch, heads · size)."""
    return heads[:, :, 0].flatten(1)


@pytest.mark.parametrize("family", sorted(QKV))
def test_qkv_as_attention_receives_them(family, tmp_path):
    """At position 0 rotary embeddings turn nothing, so attention sees W x itself."""
    model = save_family(family, tmp_path)
    fused = fused_module(model, QKV[family])
    if fused.bias is not None:
        torch.nn.init.zeros_(fused.bias)
    seen = inputs_of(fused)
    tokens = torch.arange(3, 8)[:, None]
    query, key, value = record(model, lambda: model(tokens))[0]
    parts = parts_of(tmp_path, QKV[family])
    given = seen[0].reshape(len(tokens), -1)
    torch.testing.assert_close(flat(query), given @ parts["q"].T)
    torch.testing.assert_close(flat(key), given @ parts["k"].T)
    torch.testing.assert_close(flat(value), given @ parts["v"].T)


@pytest.mark.parametrize("family", sorted(RESHAPING))
def test_qkv_as_the_model_itself_splits_them(family, tmp_path):
    model = save_family(family, tmp_path)
    attention = fused_module(model, "self_attention")
    given = torch.randn(5, 1, 32)
    fused = given @ attention.query_key_value.weight.T
    split = attention._reshape if family == "bloom" else attention._split_heads
    query, key, value = split(fused)
    if family != "bloom":  # (batch, tokens, heads, size) there
        query, key, value = (heads.transpose(1, 2) for heads in (query, key, value))
    parts = parts_of(tmp_path, "self_attention.query_key_value")
    flat_input = given[:, 0]
    torch.testing.assert_close(flat(query), flat_input @ parts["q"].T)
    for heads, part in ((key, parts["k"]), (value, parts["v"])):
        # A model may repeat a key for each of its queries.
        distinct = heads.unique_consecutive(dim=1) if family == "falcon_grouped" else heads
        torch.testing.assert_close(flat(distinct), flat_input @ part.T)


def test_qkv_of_a_vision_stack(tmp_path):
    model = save_family("qwen2_vl", tmp_path)
    fused = fused_module(model.model.visual, "attn.qkv")
    torch.nn.init.zeros_(fused.bias)
    seen = inputs_of(fused)
    patches = torch.randn(4, 3 * 2 * 8 * 8)
    grid = torch.tensor([[1, 2, 2]])
    query, key, value = record(
        model.model.visual, lambda: model.model.visual(patches, grid_thw=grid)
    )[0]
    parts = parts_of(tmp_path, "attn.qkv", stack="vision")
    for heads, part in ((query, "q"), (key, "k"), (value, "v")):
        first_patch = heads[0, :, 0].flatten()  # at row 0 and column 0: not turned
        torch.testing.assert_close(first_patch, parts[part] @ seen[0][0])


def test_qkv_of_codegen(tmp_path):
    """Four groups of query, value and key, in this order, as its forward pass splits them."""
    model = save_family("codegen", tmp_path)
    attention = fused_module(model, "attn")
    tokens = torch.arange(3, 8)[:, None]
    seen, calls = inputs_of(attention.qkv_proj), []
    attention._attn = lambda query, key, value, *rest: (
        calls.append((query, key, value)), (value, None)
    )[1]  # fmt: skip
    with torch.no_grad():
        model(tokens)
    parts = parts_of(tmp_path, "attn.qkv_proj")
    for heads, part in zip(calls[0], "qkv", strict=True):
        torch.testing.assert_close(flat(heads), seen[0][:, 0] @ parts[part].T)


def test_qkv_of_deberta(tmp_path):
    model = save_family("deberta", tmp_path)
    attention = fused_module(model, "attention.self")
    given = torch.randn(5, 1, 32)
    fused = attention.transpose_for_scores(given @ attention.in_proj.weight.T)
    parts = parts_of(tmp_path, "attention.self.in_proj")
    for heads, part in zip(fused.chunk(3, dim=-1), "qkv", strict=True):
        torch.testing.assert_close(flat(heads), given[:, 0] @ parts[part].T)


def test_heads_that_do_not_fit_are_never_cut():
    from analyzer.architecture import Architecture
    from analyzer.fused import UnknownLayout, parts_of

    mpt = {"model_type": "mpt", "n_heads": 32, "d_model": 4096, "attn_config": {"kv_n_heads": 8}}
    sizes = [part.rows for part in parts_of("attn.Wqkv", 6144, 4096, "text", Architecture(mpt))]
    assert sizes == [4096, 1024, 1024]
    del mpt["attn_config"]
    few = {"model_type": "internlm2", "num_attention_heads": 4, "num_key_value_heads": 8}
    for config, leaf in ((mpt, "Wqkv"), (few, "wqkv"), (few, "in_proj_qkvz")):
        with pytest.raises(UnknownLayout):
            parts_of(leaf, 6144, 4096, "text", Architecture(config))
    thirds = parts_of("attn.in_proj_weight", 96, 32, "text", Architecture({}))
    assert [part.rows for part in thirds] == [32, 32, 32]


def test_gate_and_up(tmp_path):
    model = save_family("phi3", tmp_path)
    mlp = fused_module(model, "mlp")
    gates = inputs_of(mlp.activation_fn)
    mlp.activation_fn.register_forward_hook(lambda *call: torch.ones_like(call[-1]))
    seen = inputs_of(mlp.down_proj)
    given = torch.randn(3, 32)
    with torch.no_grad():
        mlp(given)
    parts = parts_of(tmp_path, "mlp.gate_up_proj")
    torch.testing.assert_close(gates[0], given @ parts["gate"].T)
    torch.testing.assert_close(seen[0], given @ parts["up"].T)


def test_interleaved_experts_of_gpt_oss(tmp_path):
    model = save_family("gpt_oss", tmp_path)
    experts = fused_module(model, "mlp.experts")
    given = torch.randn(5, 32)
    parts = parts_of(tmp_path, "mlp.experts.gate_up_proj")
    for expert in range(3):
        gate, up = given @ parts[f"{expert}.gate"].T, given @ parts[f"{expert}.up"].T
        with torch.no_grad():
            live = experts._apply_gate(given @ experts.gate_up_proj[expert])
        expected = (up + 1) * gate * torch.sigmoid(gate * experts.alpha)
        torch.testing.assert_close(live, expected)


def test_transposed_experts_of_llama4(tmp_path):
    model = save_family("llama4", tmp_path)
    experts = fused_module(model, "feed_forward.experts")
    torch.nn.init.normal_(experts.gate_up_proj)
    torch.nn.init.normal_(experts.down_proj)
    model.save_pretrained(tmp_path)
    gate_up = parts_of(tmp_path, "feed_forward.experts.gate_up_proj")
    down = parts_of(tmp_path, "feed_forward.experts.down_proj")
    given = torch.randn(3, 32)
    with torch.no_grad():
        live = experts(given)  # row e goes to expert e
    for expert in range(3):
        gate, up = gate_up[f"{expert}.gate"], gate_up[f"{expert}.up"]
        hidden = (up @ given[expert]) * experts.act_fn(gate @ given[expert])
        torch.testing.assert_close(live[expert], down[f"{expert}.None"] @ hidden)


def test_square_experts_are_told_apart_by_the_model_type():
    """gpt-oss stores in × out; where 2 · size = hidden, no shape shows it."""
    from analyzer.architecture import Architecture
    from analyzer.fused import is_transposed_expert

    for kind, transposed in (("gpt_oss", True), ("qwen3_moe", False)):
        config = Architecture({"model_type": kind, "hidden_size": 32})
        assert is_transposed_expert((32, 32), True, config) is transposed


@pytest.mark.parametrize("family", ["mixtral", "qwen3_moe", "granite_moe"])
def test_separate_experts_are_those_of_the_live_model(family, tmp_path):
    """transformers 5 fuses experts while loading: [experts, 2 · size, hidden], gate first."""
    model = save_family(family, tmp_path)
    live = next(p for n, p in model.named_parameters() if n.endswith("experts.gate_up_proj"))
    source = open_source(str(tmp_path))
    for matrix in outline(source).matrices:
        if matrix.role != "expert" or matrix.layer != 0:
            continue
        half = live.shape[1] // 2
        gate, up = live[matrix.expert, :half], live[matrix.expert, half:]
        weight = read_matrix(source, matrix)
        leaf = matrix.part or str(matrix.module).rsplit(".", 1)[-1]
        if leaf in ("w1", "gate_proj", "gate"):
            torch.testing.assert_close(weight, gate.detach())
        elif leaf in ("w3", "up_proj", "up"):
            torch.testing.assert_close(weight, up.detach())


def test_an_unknown_layout_is_said_and_analysed_whole(tmp_path):
    import json

    save_family("gpt_neox", tmp_path)
    config = json.loads((tmp_path / "config.json").read_text())
    (tmp_path / "config.json").write_text(json.dumps({**config, "model_type": "novel"}))
    found = outline(open_source(str(tmp_path)))
    assert [warning for warning in found.warnings if "novel" in warning]
    fused = [m for m in found.matrices if m.module == "attention.query_key_value"]
    assert [matrix.part for matrix in fused] == [None, None]
    assert fused[0].shape == (96, 32)
