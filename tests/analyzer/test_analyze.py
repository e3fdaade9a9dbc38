"""The loop: nothing is solved twice, and a failed matrix is left out and said."""

import json

import pytest
import torch
from safetensors.torch import load_file, save_file

from analyzer import solver
from analyzer.analyze import analyze
from analyzer.api import analyze as analyze_model
from analyzer.errors import BadModel, InvalidOption, UnsupportedFormat
from analyzer.options import Options
from analyzer.report import block_values
from analyzer.source import open_source
from analyzer.store import FolderStore
from tests.families import save_family


@pytest.fixture
def store(own_cache) -> FolderStore:
    return FolderStore(own_cache)


@pytest.fixture
def llama(tmp_path):
    save_family("llama", tmp_path)
    return tmp_path


@pytest.fixture
def reads(monkeypatch):
    """Names of the tensors whose bytes reach the solver."""
    names: list[str] = []
    original = solver.weight_of

    def weight_of(loaded):
        names.append(loaded.unit.matrices[0].tensor)
        return original(loaded)

    monkeypatch.setattr(solver, "weight_of", weight_of)
    return names


def damage(folder, name: str, value: float = float("nan")) -> None:
    weights = load_file(folder / "model.safetensors")
    weights[name][0, 0] = value
    save_file(weights, folder / "model.safetensors", metadata={"format": "pt"})


def test_a_second_analysis_reads_no_weights(llama, store, reads):
    first = analyze(open_source(str(llama)), store=store)
    assert len(reads) == first.provenance.spectra_solved == 14
    size = sum(matrix.bytes for matrix in first.matrices)
    header = first.provenance.bytes_read["local"] - size
    assert 0 < header <= (llama / "model.safetensors").stat().st_size
    reads.clear()
    second = analyze(open_source(str(llama)), Options(estimator="ks"), store=store)
    assert reads == []
    assert second.provenance.spectra_reused == 14
    assert second.matrices[0].fits == first.matrices[0].fits


def test_renamed_or_copied_models_share_spectra(llama, store, reads, tmp_path_factory):
    analyze(open_source(str(llama)), store=store)
    copy = tmp_path_factory.mktemp("copy")
    for path in llama.iterdir():
        (copy / path.name).write_bytes(path.read_bytes())
    reads.clear()
    assert analyze(open_source(str(copy)), store=store).provenance.spectra_solved == 0
    assert reads == []


def test_changed_weights_are_solved_again(llama, store, reads):
    analyze(open_source(str(llama)), store=store)
    damage(llama, "model.layers.0.mlp.up_proj.weight", 3.0)
    reads.clear()
    analyze(open_source(str(llama)), store=store)
    assert len(reads) == 14


def test_an_interrupted_analysis_continues(llama, store, reads):
    class Stop(Exception):
        pass

    def stop(step):
        if step.done == 5:
            raise Stop

    with pytest.raises(Stop):
        analyze(open_source(str(llama)), store=store, progress=stop)
    reads.clear()
    analyze(open_source(str(llama)), store=store)
    assert 9 <= len(reads) < 14


def test_peaks_start_a_float64_analysis_that_serves_everything(llama, store, reads):
    analyze(open_source(str(llama)), store=store)
    found = analyze(open_source(str(llama)), Options(estimator="peak"), store=store)
    assert {matrix.precision for matrix in found.matrices} == {"float64"}
    assert set(found.matrices[0].fits) == {"hill", "ks", "peak", "peak_as_released"}
    reads.clear()
    again = analyze(open_source(str(llama)), Options(estimator="peak_as_released"), store=store)
    assert reads == []
    assert again.provenance.spectra_reused == 14


def test_the_precision_of_the_spectra_is_said(llama, store):
    analyze(open_source(str(llama)), Options(precision="float64"), store=store)
    assert analyze(open_source(str(llama)), store=store).settings.precision == "float64"


def test_float64_spectra_serve_a_float32_request(llama, store, reads):
    analyze(open_source(str(llama)), Options(precision="float64"), store=store)
    reads.clear()
    analyze(open_source(str(llama)), store=store)
    assert reads == []
    analyze(open_source(str(llama)), Options(precision="float32"), store=store)
    assert len(reads) == 14, "asked for by name, float32 is solved"


def test_parts_of_a_fused_tensor_share_one_reading(tmp_path, store, reads):
    save_family("phi3", tmp_path)
    found = analyze(open_source(str(tmp_path)), store=store)
    assert len(found.matrices) == 14
    assert len(reads) == 8


def test_3d_experts_are_read_one_at_a_time(tmp_path, store, reads):
    save_family("gpt_oss", tmp_path)
    found = analyze(open_source(str(tmp_path)), store=store)
    experts = [matrix for matrix in found.matrices if matrix.role == "expert"]
    assert len(experts) == 2 * 3 * 3
    assert sum("experts" in name for name in reads) == 2 * 3 * 2
    stored = load_file(tmp_path / "model.safetensors")
    fused = [w for name, w in stored.items() if "experts" in name and w.ndim == 3]
    assert sum(matrix.bytes for matrix in experts) == sum(w.nbytes for w in fused)
    layer = found.layers[0]
    assert layer.matrices == 4, "experts do not enter a block's mean"


def test_scopes(llama, tmp_path_factory, store):
    assert {m.role for m in analyze_model(llama, scope="all").matrices} == {"adaptable", "outside"}
    moe = tmp_path_factory.mktemp("moe")
    save_family("mixtral", moe)
    assert {m.role for m in analyze_model(moe).matrices} == {"adaptable", "expert", "router"}
    assert {m.role for m in analyze_model(moe, scope="adaptable").matrices} == {"adaptable"}


def test_a_matrix_with_nan_is_left_out_and_said(llama):
    clean = analyze_model(llama)
    name = "model.layers.0.mlp.up_proj.weight"
    damage(llama, name)
    found = analyze_model(llama)
    assert [warning for warning in found.warnings if name in warning and "not_finite" in warning]
    assert found.layers[0].left_out == (name,)
    others = [m.fits["hill"].alpha for m in clean.matrices if m.layer == 0 and m.name != name]
    assert found.layers[0].alpha == pytest.approx(sum(others) / 6, rel=1e-4)
    assert found.layers[1] == clean.layers[1]
    json.loads(found.model_dump_json())  # NaN reaches no document


def test_a_block_without_any_fit_is_an_error(llama):
    for leaf in ("mlp.up_proj", "mlp.gate_proj", "mlp.down_proj", "self_attn.q_proj",
                 "self_attn.k_proj", "self_attn.v_proj", "self_attn.o_proj"):  # fmt: skip
        damage(llama, f"model.layers.1.{leaf}.weight")
    with pytest.raises(BadModel, match="no matrix of layer 1 of text has a fit by hill"):
        analyze_model(llama)


def test_block_means(minilm):
    found = analyze_model(minilm)
    block = [m for m in found.matrices if m.layer == 2]
    alphas = torch.tensor([m.fits["hill"].alpha for m in block], dtype=torch.float64)
    sizes = torch.tensor([m.shape[0] * m.shape[1] for m in block], dtype=torch.float64)
    errors = torch.tensor([m.fits["hill"].nominal_standard_error for m in block])
    assert found.layers[2].alpha == pytest.approx(float(alphas.mean()), rel=1e-9)
    assert found.layers[2].nominal_standard_error == pytest.approx(
        float(errors.square().sum().sqrt() / len(block)), rel=1e-5
    )
    weighted = block_values(found.matrices, weighting="parameters")[2]
    assert weighted.alpha == pytest.approx(float((alphas * sizes).sum() / sizes.sum()), rel=1e-9)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"estimator": "median"}, "estimator median is unknown"),
        ({"aspect": "farms"}, "aspect farms is unknown"),
        ({"aspect": "marchenko_pastur", "estimator": "ks"}, "hill only"),
        ({"precision": "float16"}, "precision float16 is unknown"),
        ({"precision": "float32", "estimator": "peak"}, "needs float64"),
        ({"solver": "qr"}, "solver qr is unknown"),
        ({"scope": "some"}, "scope some is unknown"),
        ({"device": "cuda:99"}, "not there"),
        ({"device": "gpu"}, "device gpu is unknown; use auto, cpu"),
        ({"stack": "vision"}, "it has text"),
        ({"modules": ["q_proj", "zz"]}, "module zz is not in this model"),
        ({"weighting": "rank"}, "weighting rank is unknown"),
    ],
)
def test_options_that_cannot_be(llama, options, message):
    with pytest.raises(InvalidOption, match=message):
        analyze_model(llama, **options)


def test_modules_by_the_end_of_their_name(llama):
    found = analyze_model(llama, modules=["q_proj", "mlp.up_proj"])
    assert {m.module for m in found.matrices} == {"self_attn.q_proj", "mlp.up_proj"}


def test_stacks(tmp_path):
    save_family("llava", tmp_path)
    assert {m.stack for m in analyze_model(tmp_path).matrices} == {"text"}
    assert {m.stack for m in analyze_model(tmp_path, stack="all").matrices} == {"text", "vision"}
    assert {m.stack for m in analyze_model(tmp_path, stack="vision").matrices} == {"vision"}


def test_both_stacks_of_t5_come_encoder_first(tmp_path):
    save_family("t5", tmp_path)
    layers = [(layer.stack, layer.layer) for layer in analyze_model(tmp_path).layers]
    assert layers == [("encoder", 0), ("encoder", 1), ("decoder", 0), ("decoder", 1)]


def test_quantised_models_are_refused_before_reading(llama, reads):
    config = json.loads((llama / "config.json").read_text())
    config["quantization_config"] = {"quant_method": "awq"}
    (llama / "config.json").write_text(json.dumps(config))
    with pytest.raises(UnsupportedFormat, match="awq"):
        analyze_model(llama)
    assert reads == []


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_half_precision_checkpoints(llama, dtype):
    weights = load_file(llama / "model.safetensors")
    save_file({name: w.to(dtype) for name, w in weights.items()}, llama / "model.safetensors")
    half = analyze_model(llama)
    # The same numbers, stored wider, must give the same exponents.
    save_file(
        {name: w.to(dtype).float() for name, w in weights.items()}, llama / "model.safetensors"
    )
    wide = analyze_model(llama)
    for one, other in zip(half.matrices, wide.matrices, strict=True):
        assert one.fits["hill"].alpha == pytest.approx(other.fits["hill"].alpha, rel=1e-5)
