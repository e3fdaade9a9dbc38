"""Adapters and differences: spectra of what training has changed."""

import json

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file

from allocator.errors import InvalidRequest
from allocator.planner import plan
from analyzer.analyze import analyze
from analyzer.api import analyze as analyze_model
from analyzer.api import outline
from analyzer.decode import read_matrix
from analyzer.errors import BadModel, InvalidOption, UnsupportedFormat
from analyzer.options import Options
from analyzer.source import open_source
from analyzer.store import FolderStore
from tests.families import save_family

RANK, WIDTH, INNER = 12, 32, 48


def write_adapter(folder, layers=(0, 1), rank=RANK, **config) -> dict[str, torch.Tensor]:
    """An adapter under the names that PEFT saves; the dense updates by module."""
    generator = torch.Generator().manual_seed(1)
    tensors, updates = {}, {}
    scale = config.get("lora_alpha", 16) / (rank**0.5 if config.get("use_rslora") else rank)
    for layer in layers:
        for module, (rows, columns) in {
            "self_attn.q_proj": (WIDTH, WIDTH), "mlp.up_proj": (INNER, WIDTH),
        }.items():  # fmt: skip
            name = f"model.layers.{layer}.{module}"
            a = torch.randn(rank, columns, generator=generator)
            b = torch.randn(rows, rank, generator=generator)
            tensors[f"base_model.model.{name}.lora_A.weight"] = a
            tensors[f"base_model.model.{name}.lora_B.weight"] = b
            updates[name] = scale * (b.double() @ a.double())
    save_file(tensors, folder / "adapter_model.safetensors")
    config = {"peft_type": "LORA", "r": rank, "lora_alpha": 16, **config}
    (folder / "adapter_config.json").write_text(json.dumps(config))
    return updates


def squared_singular_values(weight: torch.Tensor, count: int) -> np.ndarray:
    return np.sort(np.linalg.svd(weight.double().numpy(), compute_uv=False)[:count] ** 2)


@pytest.mark.parametrize("config", [{}, {"lora_alpha": 32}, {"use_rslora": True}])
def test_the_spectrum_of_an_update_is_that_of_the_dense_product(tmp_path, own_cache, config):
    updates = write_adapter(tmp_path, **config)
    store = FolderStore(own_cache)
    found = analyze(open_source(str(tmp_path)), Options(precision="float64"), store=store)
    assert found.kind == "adapter"
    kept = {entry.key.matrix: store.get(entry.key) for entry in store.entries()}
    assert kept.keys() == updates.keys()
    for name, update in updates.items():
        values = kept[name].spectrum.values
        np.testing.assert_allclose(values, squared_singular_values(update, RANK), rtol=1e-9)
    assert {m.shape for m in found.matrices} == {(WIDTH, WIDTH), (INNER, WIDTH)}
    assert all(m.fits["hill"].status == "ok" for m in found.matrices)
    assert [layer.layer for layer in found.layers] == [0, 1]


def test_an_alpha_pattern_has_the_last_word(tmp_path):
    write_adapter(tmp_path, alpha_pattern={"self_attn.q_proj": 48})
    scales = {m.module: m.packing.parameters["scale"] for m in outline(tmp_path).matrices}
    assert scales == {"self_attn.q_proj": 48 / RANK, "mlp.up_proj": 16 / RANK}


def test_an_adapter_of_some_layers_and_of_low_rank(tmp_path):
    write_adapter(tmp_path, layers=(1, 3), rank=4)
    found = analyze_model(tmp_path)
    assert found.layers == ()
    assert {m.fits["hill"].status for m in found.matrices} == {"too_few_eigenvalues"}
    assert all(m.measures.stable_rank > 1 for m in found.matrices)


@pytest.mark.filterwarnings("ignore::FutureWarning")  # transformers' own, for peft
def test_a_peft_adapter(tmp_path):
    """Saved by PEFT itself."""
    import peft

    model = save_family("llama", tmp_path / "base")
    config = peft.LoraConfig(r=RANK, target_modules=["q_proj", "up_proj"], init_lora_weights=False)
    peft.get_peft_model(model, config).save_pretrained(tmp_path / "adapter")
    found = analyze_model(tmp_path / "adapter")
    assert {m.module for m in found.matrices} == {"self_attn.q_proj", "mlp.up_proj"}


@pytest.mark.filterwarnings("ignore")
def test_an_adapter_of_a_plan_has_the_scales_of_its_export(tmp_path):
    """PEFT's keys with escaped dots, as `tailora export --to peft` writes them."""
    import peft

    from allocator.forms.live import lora_config

    model = save_family("llama", tmp_path / "base")
    made = plan(outline(tmp_path / "base"), method="custom", counts=[1, 3], rank=4, lora_alpha=12)
    wrapped = peft.get_peft_model(model, peft.LoraConfig(**lora_config(made, model)))
    wrapped.save_pretrained(tmp_path / "adapter")
    found = outline(tmp_path / "adapter")
    assert {m.packing.parameters["rank"] for m in found.matrices} == {4, 12}
    assert {m.packing.parameters["scale"] for m in found.matrices} == {3.0}
    assert not [warning for warning in found.warnings if "alpha_pattern" in warning]


def test_what_an_adapter_cannot_do(tmp_path):
    write_adapter(tmp_path)
    with pytest.raises(InvalidOption, match="full rank"):
        analyze_model(tmp_path, aspect="marchenko_pastur")
    with pytest.raises(InvalidRequest, match="plan for the model"):
        plan(analyze_model(tmp_path), budget=4)
    (tmp_path / "adapter_config.json").unlink()
    assert any("without its scale" in warning for warning in outline(tmp_path).warnings)


def test_halves_that_do_not_fit(tmp_path):
    name = "base_model.model.model.layers.0.self_attn.q_proj.lora_"
    tensors = {f"{name}A.weight": torch.ones(4, 8), f"{name}B.weight": torch.ones(8, 5)}
    save_file(tensors, tmp_path / "adapter_model.safetensors")
    with pytest.raises(BadModel, match="do not fit"):
        outline(tmp_path)


@pytest.fixture
def pair(tmp_path):
    """A model and one that differs from it in every weight."""
    save_family("llama", tmp_path / "base")
    save_family("llama", tmp_path / "tuned")
    weights = load_file(tmp_path / "tuned" / "model.safetensors")
    generator = torch.Generator().manual_seed(2)
    for name in weights:
        weights[name] = weights[name] + 0.01 * torch.randn(weights[name].shape, generator=generator)
    save_file(weights, tmp_path / "tuned" / "model.safetensors")
    return tmp_path / "tuned", tmp_path / "base"


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_the_spectrum_of_a_difference(pair, own_cache, dtype):
    weights = []
    for folder in pair:
        stored = {k: w.to(dtype) for k, w in load_file(folder / "model.safetensors").items()}
        save_file(stored, folder / "model.safetensors")
        weights.append(stored)
    store = FolderStore(own_cache)
    sources = [open_source(str(folder), store) for folder in pair]
    found = analyze(sources[0], Options(precision="float64"), store=store, base=sources[1])
    assert found.kind == "difference"
    assert found.base is not None
    assert found.base.weights == (sources[1].sha256("model.safetensors"),)
    assert found.weights == (sources[0].sha256("model.safetensors"),)
    for entry in store.entries():
        name = entry.key.matrix
        change = weights[0][name].double() - weights[1][name].double()
        expected = squared_singular_values(change, min(change.shape))
        values = store.get(entry.key).spectrum.values
        np.testing.assert_allclose(values, expected, rtol=1e-9, atol=1e-12 * expected[-1])
    assert len(found.matrices) == len(list(store.entries())) == 14


def test_a_difference_is_not_the_model_itself(pair):
    tuned, base = pair
    assert analyze_model(tuned).matrices[0].fits != analyze_model(tuned, base=base).matrices[0].fits
    again = analyze_model(tuned, base=base)
    assert again.provenance.spectra_solved == 0


def test_what_did_not_change_has_no_fit(pair):
    tuned, _ = pair
    found = analyze_model(tuned, base=tuned)
    assert found.layers == ()
    assert all(m.fits["hill"].alpha is None for m in found.matrices)


def test_checkpoints_of_other_shapes(pair, tmp_path):
    save_family("qwen3", tmp_path / "other")
    weights = load_file(pair[1] / "model.safetensors")
    weights["model.layers.1.mlp.up_proj.weight"] = torch.zeros(40, 32)
    save_file(weights, pair[1] / "model.safetensors")
    with pytest.raises(BadModel, match=r"up_proj.weight is 48 × 32, but 40 × 32"):
        analyze_model(pair[0], base=pair[1])
    save_family("gpt2", tmp_path / "gpt2")
    with pytest.raises(BadModel, match="checkpoint of one shape"):
        analyze_model(pair[0], base=tmp_path / "gpt2")


def test_adapters_have_no_difference(pair, tmp_path):
    (tmp_path / "adapter").mkdir()
    write_adapter(tmp_path / "adapter")
    for one, other in ((tmp_path / "adapter", pair[1]), (pair[0], tmp_path / "adapter")):
        with pytest.raises(InvalidOption, match="compares two models"):
            analyze_model(one, base=other)


def test_another_vocabulary_is_no_obstacle(pair):
    weights = load_file(pair[0] / "model.safetensors")
    for name in ("model.embed_tokens.weight", "lm_head.weight"):
        weights[name] = torch.zeros(70, 32)
    save_file(weights, pair[0] / "model.safetensors")
    assert len(analyze_model(pair[0], base=pair[1]).matrices) == 14
    with pytest.raises(BadModel, match="70 × 32, but 64 × 32"):
        analyze_model(pair[0], base=pair[1], scope="all")


def test_adapters_of_other_kinds_are_refused(tmp_path):
    name = "base_model.model.model.layers.0.self_attn.q_proj.lora_"
    packed = {f"{name}{half}.weight": torch.ones(8, 8, dtype=torch.int8) for half in "AB"}
    save_file(packed, tmp_path / "adapter_model.safetensors")
    with pytest.raises(UnsupportedFormat, match="no plain numbers"):
        outline(tmp_path)
    write_adapter(tmp_path, target_parameters=["mlp.experts.gate_up_proj"])
    with pytest.raises(UnsupportedFormat, match="target_parameters"):
        outline(tmp_path)


def test_a_model_with_a_stray_update_is_a_model(pair):
    weights = load_file(pair[0] / "model.safetensors")
    weights["model.layers.0.self_attn.q_proj.lora_A.weight"] = torch.zeros(4, 32)
    weights["model.layers.0.self_attn.q_proj.lora_B.weight"] = torch.zeros(32, 4)
    save_file(weights, pair[0] / "model.safetensors")
    assert outline(pair[0]).kind == "model"


def test_differences_of_shards_are_read_in_turn(tmp_path, own_cache):
    """Each pair is complete before the next is read, so little is held at a time."""
    from analyzer.buffer import Buffer
    from analyzer.difference import BASE_FILE, difference
    from analyzer.scan import outline as scan
    from analyzer.stream import Loaded, Stream
    from analyzer.units import units_of
    from tests.models import write_sharded

    write_sharded(tmp_path / "a", layers=4, width=256, layers_per_shard=1)
    write_sharded(tmp_path / "b", layers=4, width=256, layers_per_shard=3)
    one, other = open_source(str(tmp_path / "a")), open_source(str(tmp_path / "b"))
    outlined = scan(one)
    wanted = [matrix for matrix in outlined.matrices if matrix.stack]
    matrices = difference(wanted, outlined, scan(other))
    source = one.join(other, BASE_FILE)
    so_far = dict(source.bytes_read)
    assert so_far["local"] > 0
    assert all(source.tensors(file) for file in source.files)
    assert source.bytes_read == so_far, "headers are not read again"
    buffer = Buffer(600_000)
    seen = 0
    for loaded in Stream(source, units_of(source, matrices), whole=(), buffer=buffer):
        assert isinstance(loaded, Loaded)
        assert buffer._held <= 600_000
        loaded.give_back()
        seen += 1
    assert seen == 16
    assert torch.count_nonzero(read_matrix(source, matrices[0])) == 0
