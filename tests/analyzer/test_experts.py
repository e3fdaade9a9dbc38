"""A sample of experts, and tensors that are stored twice."""

import statistics

import pytest
import torch
from safetensors.torch import load_file, save_file

from analyzer import solver
from analyzer.api import analyze
from analyzer.errors import InvalidOption, NotEnoughMemory
from tests.families import save_family


@pytest.fixture(scope="module", params=["qwen3_moe", "gpt_oss"])
def moe(request, tmp_path_factory):
    """Three experts a layer, as separate tensors and as fused ones."""
    folder = tmp_path_factory.mktemp(request.param)
    save_family(request.param, folder)
    return folder


def experts_of(found) -> dict[int, set[int]]:
    layers: dict[int, set[int]] = {}
    for matrix in found.matrices:
        if matrix.role == "expert":
            layers.setdefault(matrix.layer, set()).add(matrix.expert)
    return layers


def test_all_experts_have_no_sampling_error(moe):
    found = analyze(moe)
    assert experts_of(found) == {0: {0, 1, 2}, 1: {0, 1, 2}}
    for value in found.experts:
        assert (value.experts, value.sampled, value.sampling_error) == (3, 3, 0.0)


def test_a_sample_with_its_error(moe):
    everything, found = analyze(moe), analyze(moe, experts_per_layer=2)
    assert all(len(indices) == 2 for indices in experts_of(found).values())
    assert experts_of(found) == experts_of(analyze(moe, experts_per_layer=2))
    assert found.settings.experts_per_layer == 2
    assert found.layers == everything.layers, "experts enter no block value"
    by_name = {matrix.name: matrix for matrix in everything.matrices}
    for matrix in found.matrices:
        assert matrix.fits == by_name[matrix.name].fits
    for value in found.experts:
        alphas = [
            statistics.fmean(
                m.fits["hill"].alpha for m in found.matrices
                if (m.role, m.layer, m.expert) == ("expert", value.layer, index)
            )
            for index in experts_of(found)[value.layer]
        ]  # fmt: skip
        assert value.alpha == pytest.approx(statistics.fmean(alphas))
        # Two of three drawn without replacement: s²/2 · (1 − 2/3).
        expected = (statistics.variance(alphas) / 2 * (1 / 3)) ** 0.5
        assert value.sampling_error == pytest.approx(expected)


def test_a_sample_of_one_has_no_known_error(moe):
    assert {v.sampling_error for v in analyze(moe, experts_per_layer=1).experts} == {None}


def test_a_sample_larger_than_the_layer_is_all_of_it(moe):
    assert {v.sampling_error for v in analyze(moe, experts_per_layer=9).experts} == {0.0}


def test_layers_draw_different_experts(tmp_path):
    weights = {
        f"model.layers.{layer}.mlp.experts.{index}.up_proj.weight": torch.randn(12, 16)
        for layer in range(6) for index in range(8)
    }  # fmt: skip
    weights |= {f"model.layers.{n}.self_attn.q_proj.weight": torch.randn(16, 16) for n in range(6)}
    save_file(weights, tmp_path / "model.safetensors")
    drawn = experts_of(analyze(tmp_path, experts_per_layer=3))
    assert len({frozenset(indices) for indices in drawn.values()}) > 1


def test_an_empty_sample_is_refused(moe):
    with pytest.raises(InvalidOption, match="at least 1 a layer"):
        analyze(moe, experts_per_layer=0)


@pytest.mark.parametrize("width", [64, 2304])
def test_equal_tensors_are_solved_once(tmp_path, monkeypatch, width):
    """Small ones side by side, large ones one after the other."""
    same = torch.randn(width, width).bfloat16()
    names = [f"model.layers.{n}.self_attn.{m}_proj.weight" for n in range(2) for m in "qk"]
    save_file({name: same.clone() for name in names}, tmp_path / "model.safetensors")
    solved = []
    original = solver.batch_eigenvalues
    monkeypatch.setattr(
        solver, "batch_eigenvalues", lambda w, **k: solved.extend(w) or original(w, **k)
    )
    found = analyze(tmp_path)
    assert len(solved) == found.provenance.spectra_solved == 1
    assert found.provenance.spectra_reused == 3
    assert len({m.fits["hill"].alpha for m in found.matrices}) == 1
    assert analyze(tmp_path).provenance.spectra_solved == 0


def test_a_tied_head_is_solved_once(tmp_path, monkeypatch):
    save_family("llama", tmp_path)
    weights = load_file(tmp_path / "model.safetensors")
    weights["lm_head.weight"] = weights["model.embed_tokens.weight"].clone()
    save_file(weights, tmp_path / "model.safetensors")
    found = analyze(tmp_path, scope="all")
    assert found.provenance.spectra_solved == 15
    assert found.provenance.spectra_reused == 1


def test_fused_experts_are_solved_in_batches(tmp_path, monkeypatch):
    save_family("gpt_oss", tmp_path)
    batches = []
    original = solver.batch_eigenvalues
    monkeypatch.setattr(
        solver, "batch_eigenvalues", lambda w, **k: batches.append(len(w)) or original(w, **k)
    )
    found = analyze(tmp_path)
    # Three down projections, or gates and ups of three experts, as far as they are there.
    assert max(batches) >= 3
    alone = analyze(tmp_path, experts_per_layer=1)
    by_name = {matrix.name: matrix for matrix in found.matrices}
    assert all(by_name[m.name].fits == m.fits for m in alone.matrices)


def test_copied_experts_are_solved_once(tmp_path):
    """As in a mixture that was made from a dense model."""
    expert = torch.randn(16, 24)
    tensors = {"model.layers.0.mlp.experts.down_proj": expert.expand(6, 16, 24).contiguous()}
    tensors |= {"model.layers.0.self_attn.q_proj.weight": torch.randn(24, 24)}
    save_file(tensors, tmp_path / "model.safetensors")
    assert analyze(tmp_path).provenance.spectra_solved == 2


def test_what_does_not_fit_in_memory_is_named(tmp_path, monkeypatch):
    save_family("llama", tmp_path)

    def refuse(*_, **__):
        raise MemoryError

    monkeypatch.setattr(solver, "batch_eigenvalues", refuse)
    with pytest.raises(NotEnoughMemory, match=r"_proj.weight \(\d+ × \d+\) does not fit"):
        analyze(tmp_path)
