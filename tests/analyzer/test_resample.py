"""The scatter of alpha over random halves: what it is, and how it compares with the truth."""

import hashlib
import math
from statistics import median, stdev

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file

from analyzer.analyze import analyze
from analyzer.eigenvalues import window_eigenvalues
from analyzer.errors import InvalidOption
from analyzer.options import Options
from analyzer.resample import resample
from analyzer.sampling import Halves, content_of
from analyzer.source import open_source
from analyzer.tails import fit

GOLDEN_HALF = [[1, 3, 4, 5], [3, 4, 5]]
"""Of numpy's PCG64 from the sha256 of `a`, noted once."""


def scatter_of(found) -> float:
    return stdev(alpha for alpha in found.alphas if alpha is not None)


def hill(weight: np.ndarray) -> float:
    """Alpha of the larger half, by its definition."""
    values = np.sort(np.linalg.svd(weight, compute_uv=False) ** 2)
    tail = values[len(values) // 2 :]
    return 1 + len(tail) / np.log(tail / tail[0]).sum()


def gaussian(seed: int) -> np.ndarray:
    return np.random.default_rng(seed).normal(size=(128, 256))


def scaled(seed: int) -> np.ndarray:
    """Rows and columns have scales of their own, which are draws too."""
    rng = np.random.default_rng(seed)
    rows, columns = np.exp(0.7 * rng.normal(size=128)), np.exp(0.7 * rng.normal(size=256))
    return rows[:, None] * rng.normal(size=(128, 256)) * columns


def test_halves_are_half_of_each_side():
    places = list(Halves(draws=20).places((31, 64), "w"))
    assert len(places) == 20
    for rows, columns in places:
        assert (len(rows), len(columns)) == (15, 32)
        assert len(set(rows)) == 15
        assert (np.diff(columns) > 0).all()
    assert len({tuple(rows) for rows, _ in places}) == 20
    seen = np.bincount(np.concatenate([rows for rows, _ in places]), minlength=31)
    assert seen.min() > 0, "every row has its turn"


def test_halves_are_the_same_everywhere_and_differ_by_matrix_and_seed():
    def first(halves: Halves, name: str):
        rows, columns = next(iter(halves.places((64, 64), name)))
        return tuple(rows), tuple(columns)

    assert first(Halves(), "a") == first(Halves(draws=7), "a")
    assert len({first(Halves(), "a"), first(Halves(), "b"), first(Halves(seed=1), "a")}) == 3
    rows, columns = first(Halves(), "a")
    assert rows != columns
    tiny = next(iter(Halves().places((8, 6), "a")))
    assert [list(side) for side in tiny] == GOLDEN_HALF, "other halves are other numbers"


@pytest.mark.parametrize(("kind", "low", "high"), [(gaussian, 1.0, 2.5), (scaled, 0.8, 1.5)])
def test_the_scatter_stands_for_that_of_other_matrices(kind, low, high):
    """Against matrices drawn anew: about right where rows and columns differ, wide at worst."""
    truth = stdev(hill(kind(seed)) for seed in range(200))
    found = []
    for seed in range(200, 206):
        weight = torch.from_numpy(kind(seed))
        places = Halves(draws=60, seed=seed).places((128, 256), "w")
        halves = window_eigenvalues(weight, places, precision="float64").each()
        found.append(stdev(fit(half).alpha for half in halves))
    ratio = math.sqrt(np.mean(np.square(found))) / truth
    print(f"{kind.__name__}: resampled error / true scatter = {ratio:.2f}")
    assert low < ratio < high


def test_minilm_and_how_far_the_nominal_error_is_off(minilm, store):
    """The figure in docs/estimators.md: by hill about threefold, not tenfold."""
    source = open_source(str(minilm))
    found = {matrix.name: matrix for matrix in resample(source, store=store).matrices}
    analysis = analyze(source, Options(scope="adaptable"), store=store)
    assert len(found) == len(analysis.matrices) == 36
    ratios = [
        matrix.fits["hill"].nominal_standard_error / scatter_of(found[matrix.name])
        for matrix in analysis.matrices
    ]
    print(
        f"nominal / resampled: {min(ratios):.1f} to {max(ratios):.1f}, median {median(ratios):.1f}"
    )
    assert 2.8 < median(ratios) < 3.8
    assert 1.5 < min(ratios) < max(ratios) < 5.5
    name = "encoder.layer.3.attention.self.key.weight"
    tensor = load_file(minilm / "model.safetensors")[name]
    weight = tensor.double().numpy()
    assert len(found[name].alphas) == 200
    matrix = next(matrix for matrix in analysis.matrices if matrix.name == name)
    sha256 = hashlib.sha256(tensor.numpy().tobytes()).hexdigest()
    assert matrix.tensor_sha256 == sha256
    content = content_of(matrix, sha256)
    for draw, (rows, columns) in enumerate(Halves(draws=5).places((384, 384), content)):
        expected = hill(weight[rows][:, columns])
        assert found[name].alphas[draw] == pytest.approx(expected, rel=1e-5)


def test_halves_are_solved_once(minilm, store):
    source = open_source(str(minilm))
    options = Options(modules="attention.self.key")
    first = resample(source, options, store=store, halves=Halves(draws=4))
    before = dict(source.bytes_read)
    again = resample(source, options, store=store, halves=Halves(draws=4))
    assert again == first
    matrix_bytes = 6 * 384 * 384 * 4
    assert source.bytes_read["local"] - before["local"] < matrix_bytes
    by_ks = Options(modules="attention.self.key", estimator="ks")
    resample(source, by_ks, store=store, halves=Halves(draws=4))
    assert source.bytes_read["local"] - before["local"] < matrix_bytes
    assert len(list(store.entries())) == 6


def test_halves_of_a_model_on_the_hub_are_those_of_its_folder(connect, model, store, tmp_path):
    options = Options(modules="mlp.up_proj")
    halves = Halves(draws=3)
    local = resample(open_source(str(model)), options, store=store, halves=halves)
    from analyzer.store import FolderStore

    assert local.warnings == ()
    for ranged in (True, False):
        away = Options(modules="mlp.up_proj", ranged=ranged)
        other = FolderStore(tmp_path / str(ranged))
        found = resample(connect(), away, store=other, halves=halves)
        assert found.matrices == local.matrices
        assert found.weights == local.weights
        assert bool(found.warnings) == ranged, "what was not checked is said"


def test_a_matrix_that_is_too_small_has_no_error(store, tmp_path):
    from tests.families import save_family

    save_family("gpt2", tmp_path)
    found = resample(open_source(str(tmp_path)), store=store, halves=Halves(draws=3))
    assert all(math.isfinite(scatter_of(matrix)) for matrix in found.matrices)
    thin = load_file(tmp_path / "model.safetensors")
    thin = {name: w[:, :14].contiguous() if w.ndim == 2 else w for name, w in thin.items()}
    save_file(thin, tmp_path / "model.safetensors", metadata={"format": "pt"})
    narrow = resample(open_source(str(tmp_path)), store=store, halves=Halves(draws=3))
    assert {alpha for matrix in narrow.matrices for alpha in matrix.alphas} == {None}


def test_copies_of_a_weight_have_the_same_halves_alone_and_together(store, tmp_path):
    """An upcycled model: what a matrix's draws are must not hang on what else is read."""
    from analyzer.store import FolderStore
    from tests.families import save_family

    save_family("llama", tmp_path)
    weights = load_file(tmp_path / "model.safetensors")
    name = "model.layers.{}.self_attn.q_proj.weight"
    weights[name.format(1)] = weights[name.format(0)].clone()
    save_file(weights, tmp_path / "model.safetensors", metadata={"format": "pt"})
    source, halves = open_source(str(tmp_path)), Halves(draws=3)
    together = resample(source, Options(modules="q_proj"), store=store, halves=halves)
    one, copy = together.matrices
    assert one.alphas == copy.alphas
    del weights[name.format(0)]
    other = tmp_path / "other"
    other.mkdir()
    save_file(weights, other / "model.safetensors", metadata={"format": "pt"})
    alone = resample(
        open_source(str(other / "model.safetensors")), Options(modules="q_proj"),
        store=FolderStore(tmp_path / "store"), halves=halves,
    )  # fmt: skip
    assert alone.matrices[-1].alphas == copy.alphas


def test_rounded_weights_have_halves_of_their_own(store, tmp_path):
    from tests.families import save_family

    save_family("llama", tmp_path)
    source, halves = open_source(str(tmp_path)), Halves(draws=2)
    plain = resample(source, store=store, halves=halves)
    rounded = resample(source, Options(rounded=True), store=store, halves=halves)
    assert (plain.rounded, rounded.rounded) == (False, True)
    for one, other in zip(plain.matrices, rounded.matrices, strict=True):
        assert one.alphas != other.alphas
        assert one.alphas == pytest.approx(other.alphas, rel=0.2)


@pytest.mark.parametrize(
    ("options", "halves", "message"),
    [
        ({"aspect": "subsample"}, {}, "not with an adapter or --aspect subsample"),
        ({}, {"draws": 1}, "use 2 to 10000"),
        ({}, {"seed": -1}, "the seed is -1"),
    ],
)
def test_what_cannot_be_resampled(minilm, store, options, halves, message):
    with pytest.raises(InvalidOption, match=message):
        resample(open_source(str(minilm)), Options(**options), store=store, halves=Halves(**halves))
