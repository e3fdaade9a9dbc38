"""Estimators against scipy-free restatements of their definition, powerlaw and WeightWatcher."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from analyzer.errors import InvalidOption
from analyzer.spectrum import Spectrum
from analyzer.tails import ESTIMATORS, fit
from tests.golden import minilm_matrices


def spectrum(values) -> Spectrum:
    return Spectrum(np.sort(np.asarray(values, dtype=np.float64)), "float64")


def pareto(alpha: float, n: int, rng: np.random.Generator) -> Spectrum:
    return spectrum((1.0 - rng.random(n)) ** (-1.0 / (alpha - 1.0)))


def naive(values: np.ndarray, candidates) -> tuple[float, int, float]:
    """The definition, one candidate after the other: alpha, index and distance."""
    best = (np.inf, 0, np.inf)
    for i in candidates:
        tail = values[i:]
        m = len(tail)
        alpha = 1 + m / np.log(tail / tail[0]).sum()
        model = 1 - (tail / tail[0]) ** (1 - alpha)
        distance = np.abs(model - np.arange(m) / m).max()
        if distance < best[2]:
            best = (alpha, i, distance)
    return best


@pytest.mark.parametrize("n", [8, 9, 64, 65, 200, 333, 1500])
@pytest.mark.parametrize("kind", ["pareto", "lognormal", "wigner"])
def test_ks_is_its_definition(n, kind):
    rng = np.random.default_rng(n)
    values = {
        "pareto": pareto(2.5, n, rng).values,
        "lognormal": np.sort(rng.lognormal(0, 2, n)),
        "wigner": np.sort(np.linalg.svd(rng.normal(size=(n, n)), compute_uv=False) ** 2),
    }[kind]
    alpha, index, distance = naive(values, range(n - 1))
    found = fit(spectrum(values), "ks")
    assert found.tail == n - index
    assert found.alpha == pytest.approx(alpha, rel=1e-9)
    assert found.ks_distance == pytest.approx(distance, rel=1e-9)


@pytest.mark.parametrize("seed", [12, 19])
def test_the_best_tail_is_found_among_long_ones(seed):
    """Tails of over 4096 values are looked at in two steps; here the best is one, and not first."""
    values = pareto(2.0, 6000, np.random.default_rng(seed)).values
    alpha, index, distance = naive(values, range(5999))
    assert 6000 - index > 4096
    found = fit(spectrum(values), "ks")
    assert (found.tail, found.ks_distance) == (6000 - index, pytest.approx(distance, rel=1e-9))
    assert found.alpha == pytest.approx(alpha, rel=1e-8)


def test_the_best_tail_is_found_where_few_points_say_nothing():
    """A ripple between the points that are looked at first: most tails have to be measured."""
    n = 1024
    steps = np.arange(n)
    logs = np.cumsum(1.0 + 0.9 * np.sin(2 * np.pi * steps / (n / 128)))
    values = np.exp(logs / n * 4)
    alpha, index, distance = naive(values, range(n - 1))
    found = fit(spectrum(values), "ks")
    assert (found.tail, found.ks_distance) == (n - index, pytest.approx(distance, rel=1e-9))
    assert found.alpha == pytest.approx(alpha, rel=1e-9)


def test_hill_is_its_closed_form():
    values = np.arange(1.0, 22.0)  # n odd: the tail starts at index 10
    found = fit(spectrum(values))
    assert found.alpha == pytest.approx(1 + 11 / np.log(np.arange(11.0, 22.0) / 11.0).sum())
    assert (found.tail, found.xmin) == (11, 11.0)


def test_peak_windows_differ_below_only():
    """Histogram peak at 1: [0.95, 1.5] as intended, everything below 1.5 as released."""
    values = np.concatenate([np.geomspace(0.01, 0.9, 40), np.linspace(1.0, 1.02, 60),
                             np.geomspace(1.6, 90, 50)])  # fmt: skip
    edges = np.histogram(np.log10(values), bins=100)[1]
    peak = 10 ** edges[np.argmax(np.histogram(np.log10(values), bins=100)[0])]
    inside = np.flatnonzero((values >= 0.95 * peak) & (values <= 1.5 * peak))
    below = np.flatnonzero(values <= 1.5 * peak)
    for estimator, candidates in (("peak", inside), ("peak_as_released", below)):
        alpha, index, _ = naive(values, candidates)
        found = fit(spectrum(values), estimator)
        assert found.alpha == pytest.approx(alpha, rel=1e-9)
        assert found.tail == len(values) - index


def test_a_window_without_a_candidate_has_a_status():
    """Every histogram bin holds one value, so the first is the peak: that of a zero."""
    values = np.append(0.0, np.geomspace(1e-3, 1.0, 9))
    assert fit(spectrum(values), "peak").status == "no_candidate"
    assert fit(spectrum(values), "hill").status == "ok"


@settings(max_examples=60, deadline=None)
@given(
    st.lists(st.floats(1e-6, 1e6), min_size=8, max_size=60, unique=True),
    st.floats(1e-9, 1e9),
    st.sampled_from(["hill", "ks"]),
)
def test_scaling_changes_no_alpha(values, factor, estimator):
    plain, scaled = (
        fit(spectrum(values), estimator),
        fit(spectrum(np.array(values) * factor), estimator),
    )
    assert plain.status == scaled.status
    if plain.alpha is not None and scaled.tail == plain.tail:
        assert scaled.alpha == pytest.approx(plain.alpha, rel=1e-6)


@settings(max_examples=200, deadline=None)
@given(
    st.lists(st.one_of(st.floats(0, 1e300), st.sampled_from([0.0, 1.0, 5e-324])), max_size=40),
    st.sampled_from(sorted(ESTIMATORS)),
)
def test_any_spectrum_ends_in_a_fit_or_a_status(values, estimator):
    found = fit(spectrum(values), estimator)
    assert (found.alpha is None) == (found.status != "ok")
    if found.alpha is not None:
        assert 1.0 < found.alpha < np.inf
        assert 0.0 <= found.ks_distance <= 1.0


def test_unknown_estimators_are_refused():
    with pytest.raises(InvalidOption, match="use one of hill, ks"):
        fit(spectrum([1, 2, 3]), "median")


@pytest.fixture(scope="module")
def real_spectra(minilm):
    from safetensors.torch import load_file

    from analyzer.eigenvalues import eigenvalues

    weights = load_file(minilm / "model.safetensors")
    names = [golden["name"] for golden in minilm_matrices() if golden["n_evals"] == 384]
    return {name: eigenvalues(weights[name], precision="float64") for name in names[::5]}


@pytest.mark.filterwarnings("ignore")
def test_ks_is_powerlaw_with_its_range_opened(real_spectra):
    import powerlaw

    for found in real_spectra.values():
        reference = powerlaw.Fit(
            found.values, parameter_ranges={"alpha": [1.0, None]}, verbose=False
        )
        ours = fit(found, "ks")
        assert ours.alpha == pytest.approx(reference.power_law.alpha, rel=1e-8)
        assert ours.xmin == pytest.approx(reference.xmin, rel=1e-8)
        assert ours.ks_distance == pytest.approx(reference.power_law.D, rel=1e-8)


@pytest.mark.filterwarnings("ignore")
def test_ks_is_weightwatcher(minilm):
    import torch
    import weightwatcher
    from safetensors.torch import load_file

    from analyzer.eigenvalues import eigenvalues

    weights = load_file(minilm / "model.safetensors")
    names = [f"encoder.layer.{layer}.attention.self.query.weight" for layer in range(3)]
    model = torch.nn.Sequential()
    for name in names:
        linear = torch.nn.Linear(384, 384, bias=False)
        linear.weight.data = weights[name]
        model.append(linear)
    details = weightwatcher.WeightWatcher(model=model).analyze(plot=False)
    assert len(details) == len(names)
    for name, reference in zip(names, details.to_dict("records"), strict=True):
        found = fit(eigenvalues(weights[name], precision="float64"), "ks")
        assert found.alpha == pytest.approx(reference["alpha"], rel=1e-8)
        assert found.ks_distance == pytest.approx(reference["D"], rel=1e-8)


@pytest.mark.parametrize("alpha", [2.0, 3.0])
def test_hill_covers_the_true_alpha(alpha, capsys):
    """200 seeded draws of each size; the coverage of the scanning estimators is printed."""
    draws, rng = 200, np.random.default_rng(0)
    covered = {}
    for n in (512, 1024, 2048, 4096, 8192):
        drawn = [pareto(alpha, n, rng) for _ in range(draws)]
        covered[n] = sum(covers(fit(each), alpha) for each in drawn) / draws
        if n == 512:
            for name in ("ks", "peak"):
                share = sum(covers(fit(each, name), alpha) for each in drawn) / draws
                with capsys.disabled():
                    print(f"\ncoverage of {name} at alpha {alpha}, n 512: {share:.3f}")
    with capsys.disabled():
        print(f"\ncoverage of hill at alpha {alpha}: {covered}")
    assert sum(covered.values()) / len(covered) >= 0.93
    # Three standard deviations of a share of 200 draws below 95.4 %, the normal figure.
    assert min(covered.values()) >= 0.954 - 3 * (0.954 * 0.046 / draws) ** 0.5


def covers(found, alpha: float) -> bool:
    return abs(found.alpha - alpha) <= 2 * found.nominal_standard_error
