"""Windows of one ratio, against FARMS' own figures and a restatement; rounding to bfloat16."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from safetensors.torch import load_file, save_file

from analyzer import eigenvalues as eigenvalues_module
from analyzer.analyze import analyze
from analyzer.api import analyze as analyze_model
from analyzer.eigenvalues import window_eigenvalues
from analyzer.errors import InvalidOption
from analyzer.options import Options
from analyzer.outline import Packing
from analyzer.sampling import FARMS_WINDOWS, Halves, Sampling, Windows
from analyzer.source import open_source
from analyzer.spectrum import Spectrum
from analyzer.tails import fit
from tests.families import save_family
from tests.golden import minilm_matrices

SIDES = st.integers(1, 700)


def eigenvalues_of(windows) -> np.ndarray:
    return np.concatenate([np.sort(np.linalg.svd(w, compute_uv=False) ** 2) for w in windows])


def gaussian(rows: int, columns: int, seed: int = 0) -> torch.Tensor:
    return torch.randn(rows, columns, generator=torch.Generator().manual_seed(seed))


def test_minilm_is_farms(minilm):
    """All 37 linear layers by both of FARMS' estimators; it has no figure for embeddings."""
    farms = {
        golden["name"]: golden["farms_reference_rows128_Q1_ops5"] for golden in minilm_matrices()
    }
    found = analyze_model(
        minilm, aspect="subsample", windows=Windows(rows=128, starts=5), estimator="peak",
        scope="all",
    )  # fmt: skip
    worst = {"hill": 0.0, "peak_as_released": 0.0}
    compared = []
    for matrix in found.matrices:
        reference = farms[matrix.name]
        if reference["xmin_mid"] is None:
            continue
        for name, column in (("hill", "xmin_mid"), ("peak_as_released", "xmin_peak")):
            difference = abs(matrix.fits[name].alpha - reference[column]["alpha"])
            worst[name] = max(worst[name], difference)
        spread = matrix.fits["hill"]
        assert spread.tail == reference["xmin_mid"]["n_pooled"] / 2
        compared.append(matrix.name)
    print("largest difference from FARMS:", worst)
    assert max(worst.values()) < 1e-3
    assert len(compared) == 37
    assert {name for name in farms if name not in compared} == {
        f"embeddings.{kind}_embeddings.weight" for kind in ("position", "token_type", "word")
    }


def test_where_farms_leaves_something_out():
    """Its steps are floors, so 10 of 4096 rows are never covered; its columns can be slivers."""
    places = list(FARMS_WINDOWS.places((4096, 11008), "w"))
    assert len(places) == 225
    assert max(rows.stop for rows, _ in places) == 4096
    assert max(columns.stop for _, columns in places) == 11008
    assert Windows(rows=200, ratio=2.0).shape((256, 384)) == (192, 384)
    one = list(Windows(rows=128, starts=1).places((256, 384), "w"))
    assert one == [(slice(0, 128), slice(0, 128))]


@given(
    rows=SIDES, columns=SIDES, wanted=st.integers(1, 400), starts=st.integers(1, 9),
    ratio=st.floats(1.0, 4.0),
)  # fmt: skip
def test_windows_keep_their_ratio_and_cover_the_matrix(rows, columns, wanted, starts, ratio):
    windows = Windows(rows=wanted, ratio=ratio, starts=starts)
    tall, wide = windows.shape((rows, columns))
    short, long = min(tall, wide), max(tall, wide)
    if min(rows, columns) * ratio <= max(rows, columns):
        assert short == min(wanted, rows, columns)
    assert short <= wanted
    assert (tall <= wide) == (rows <= columns) or tall == wide
    assert abs(long - short * ratio) < 1 or long == max(rows, columns)
    places = list(windows.places((rows, columns), "w"))
    assert len(places) == len({(r.start, c.start) for r, c in places}) <= starts**2
    assert {(r.stop - r.start, c.stop - c.start) for r, c in places} == {(tall, wide)}
    for axis, size in ((0, rows), (1, columns)):
        assert min(place[axis].start for place in places) == 0
        if starts > 1:
            assert max(place[axis].stop for place in places) == size
    flipped = [(c, r) for r, c in windows.places((columns, rows), "w")]
    if rows != columns:
        assert {(r.start, c.start) for r, c in flipped} == {(r.start, c.start) for r, c in places}


def test_eigenvalues_of_windows_are_those_of_each_alone():
    """225 windows of 200 × 400, which take several batches."""
    weight = gaussian(900, 500).double()
    windows = Windows(rows=200, ratio=2.0)
    places = list(windows.places((900, 500), "w"))
    found = window_eigenvalues(weight, places, precision="float64")
    assert found.windows == len(places) == 225
    expected = eigenvalues_of([weight[r, c].numpy() for r, c in places])
    np.testing.assert_allclose(found.values, expected, rtol=1e-9, atol=1e-9)
    assert [one.values.size for one in found.each()] == [200] * 225
    assert (np.diff(found.pooled().values) >= 0).all()


def test_random_matrices_of_all_shapes_come_out_equal():
    """What the windows are for: hill of the whole goes from 2.1 to 3.5 over these shapes."""
    windows = Windows(rows=256, starts=3)
    pooled, whole = [], []
    for columns in (512, 1024, 2048):
        weight = gaussian(512, columns, seed=columns)
        places = windows.places((512, columns), "w")
        pooled.append(fit(window_eigenvalues(weight, places)).alpha)
        whole.append(fit(window_eigenvalues(weight, [(slice(None), slice(None))])).alpha)
    assert max(whole) / min(whole) > 1.5
    assert max(pooled) / min(pooled) < 1.02


@pytest.mark.parametrize("windows", [Windows(rows=16, starts=3), Windows(rows=16, starts=1)])
def test_pooled_windows_have_no_error_and_no_measures(tmp_path, windows):
    """Nor has a single window, which is a corner of the matrix."""
    save_family("llama", tmp_path)
    found = analyze_model(tmp_path, aspect="subsample", windows=windows)
    for matrix in found.matrices:
        assert matrix.fits["hill"].alpha is not None
        assert matrix.fits["hill"].nominal_standard_error is None
        assert matrix.measures is None
    assert {layer.nominal_standard_error for layer in found.layers} == {None}
    assert found.settings.windows == windows


def test_windows_are_solved_in_batches(monkeypatch):
    """So that many windows of a matrix do not lie in memory at once."""
    sizes = []
    solved = eigenvalues_module.batch_eigenvalues

    def count(weights, **words):
        sizes.append(sum(weight.numel() for weight in weights))
        return solved(weights, **words)

    monkeypatch.setattr(eigenvalues_module, "batch_eigenvalues", count)
    windows = Windows(rows=100, starts=15)
    window_eigenvalues(gaussian(400, 400), windows.places((400, 400), "w"))
    assert sum(sizes) == 225 * 100 * 100
    assert max(sizes) <= eigenvalues_module.MOST_WINDOWED["cpu"]
    assert len(sizes) == 3


def test_what_counts_as_zero_is_judged_by_a_window(tmp_path):
    """Pooled, n would be large enough to call every eigenvalue of a long tail rounding noise."""
    rng = np.random.default_rng(0)
    row = np.sort(rng.pareto(0.5, 16) + 1e-7)
    many = Spectrum(np.tile(row, 200_000), "float32", windows=200_000)
    assert many.null_level == pytest.approx(16 * np.finfo(np.float32).eps * row[-1])
    assert fit(many).status == "ok"
    low_rank = gaussian(64, 4) @ gaussian(4, 64)
    places = Windows(rows=32, starts=3).places((64, 64), "w")
    assert fit(window_eigenvalues(low_rank, places)).status == "rank_deficient"
    flat = Spectrum(np.repeat(np.linspace(1.0, 1.01, 16), 40_000), "float32", windows=40_000)
    assert fit(flat).status == "ok", "640,000 · eps would be more than it rises"
    few = window_eigenvalues(gaussian(7, 700), Windows(rows=7).places((7, 700), "w"))
    assert fit(few).status == "too_few_eigenvalues"
    broken = gaussian(64, 64)
    broken[-1, -1] = float("nan")  # in the last window only
    places = Windows(rows=32, starts=3).places((64, 64), "w")
    assert fit(window_eigenvalues(broken, places)).status == "not_finite"


def test_each_way_of_sampling_is_kept_apart(tmp_path, store):
    save_family("llama", tmp_path)
    source = open_source(str(tmp_path))
    ways = [
        Options(), Options(rounded=True), Options(aspect="subsample", windows=Windows(rows=16)),
        Options(aspect="subsample", windows=Windows(rows=8)),
        Options(aspect="subsample", windows=Windows(rows=8, ratio=1.5)),
        Options(aspect="subsample", windows=Windows(rows=8, starts=2)),
    ]  # fmt: skip
    first = [analyze(source, options, store=store) for options in ways]
    assert [found.provenance.spectra_solved for found in first] == [14] * len(ways)
    again = [analyze(source, options, store=store) for options in ways]
    assert [found.provenance.spectra_solved for found in again] == [0] * len(ways)
    assert [found.matrices for found in again] == [found.matrices for found in first]
    values = {found.matrices[0].fits["hill"].alpha for found in first}
    assert len(values) == len(ways)


def test_rounding_is_that_of_a_model_saved_in_bfloat16(tmp_path, store):
    save_family("llama", tmp_path / "full")
    weights = load_file(tmp_path / "full" / "model.safetensors")
    (tmp_path / "half").mkdir()
    half = {name: weight.to(torch.bfloat16) for name, weight in weights.items()}
    save_file(half, tmp_path / "half" / "model.safetensors", metadata={"format": "pt"})
    rounded = analyze(open_source(str(tmp_path / "full")), Options(rounded=True), store=store)
    half_source = open_source(str(tmp_path / "half"))
    saved = analyze(half_source, store=store)
    assert [m.fits for m in rounded.matrices] == [m.fits for m in saved.matrices]
    plain = analyze(open_source(str(tmp_path / "full")), store=store)
    assert [m.fits for m in rounded.matrices] != [m.fits for m in plain.matrices]
    again = analyze(half_source, Options(rounded=True), store=store)
    assert again.provenance.spectra_solved == 0, "rounding bfloat16 changes nothing"


@pytest.mark.parametrize(
    ("windows", "message"),
    [
        (Windows(rows=0), "sample-rows is 0"),
        (Windows(ratio=0.5), "sample-ratio is 0.5; it is the long side over the short one"),
        (Windows(starts=0), "sample-starts is 0; use 1 to 100"),
        (Windows(starts=101), "sample-starts is 101; use 1 to 100"),
    ],
)
def test_windows_that_no_matrix_has(windows, message):
    with pytest.raises(InvalidOption, match=message):
        Options(aspect="subsample", windows=windows)


def test_windows_that_say_nothing():
    with pytest.raises(InvalidOption, match="are for --aspect subsample"):
        Options(windows=Windows(rows=9))
    with pytest.raises(InvalidOption, match="give tailora.Windows"):
        Options(aspect="subsample", windows={"rows": 9})
    with pytest.raises(InvalidOption, match="whole matrices, since windows overlap"):
        Options(aspect="subsample", compare_distributions=True)


def test_sampling_names_are_part_of_the_key(tmp_path):
    save_family("llama", tmp_path)
    matrix = analyze_model(tmp_path).matrices[0]
    assert Sampling().name(matrix) == "all"
    assert Sampling(rounded=True).name(matrix) == "all, bfloat16"
    bf16 = matrix.model_copy(update={"dtype": "BF16"})
    assert Sampling(FARMS_WINDOWS, True).name(bf16) == FARMS_WINDOWS.name
    packed = bf16.model_copy(update={"packing": Packing(format="plain", tensors={})})
    assert Sampling(rounded=True).name(packed) == "all, bfloat16", "a difference is no bfloat16"


@pytest.mark.gpu
def test_windows_and_halves_on_cuda_agree_with_the_cpu():
    weight = gaussian(400, 300)
    for sampled in (Windows(rows=100, starts=4), Halves(draws=5)):
        places = list(sampled.places((400, 300), "w"))
        on_gpu = window_eigenvalues(weight, places, device=torch.device("cuda"))
        on_cpu = window_eigenvalues(weight, places)
        np.testing.assert_allclose(on_gpu.values, on_cpu.values, rtol=1e-3, atol=1e-3)
