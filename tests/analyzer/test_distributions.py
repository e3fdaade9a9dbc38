"""Likelihood ratios on draws whose distribution is known, and against closed forms."""

import sys

import numpy as np
import pytest

from analyzer.api import analyze
from analyzer.distributions import ALTERNATIVES, compare_distributions
from analyzer.errors import InvalidOption
from analyzer.spectrum import Spectrum
from analyzer.tails import Fit, fit


def comparisons(values) -> dict[str, object]:
    spectrum = Spectrum(np.sort(np.asarray(values, dtype=np.float64)), "float64")
    return {found.alternative: found for found in compare_distributions(spectrum, fit(spectrum))}


@pytest.fixture(scope="module")
def rng():
    return np.random.default_rng(5)


@pytest.mark.parametrize("alpha", [3.5, 6.0])
def test_the_exponential_against_its_closed_form(rng, alpha):
    """Also beyond 3, where powerlaw's own range ends."""
    values = np.sort((1 - rng.random(4000)) ** (-1 / (alpha - 1)))
    tail = values[2000:] / values[2000]
    fitted = 1 + len(tail) / np.log(tail).sum()
    rate = 1 / (tail.mean() - 1)
    power = np.log(fitted - 1) - fitted * np.log(tail)
    exponential = np.log(rate) - rate * (tail - 1)
    difference = power - exponential
    ratio = difference.sum() / (np.sqrt(len(tail)) * difference.std())
    found = comparisons(values)["exponential"]
    assert found.ratio == pytest.approx(ratio, abs=0.02)


def test_power_laws_are_told_from_exponentials(rng):
    pareto = comparisons((1 - rng.random(4000)) ** (-1 / 1.5))
    assert pareto["exponential"].favours == "power_law"
    assert pareto["lognormal"].favours == "neither"
    assert pareto["truncated_power_law"].favours == "neither"
    exponential = comparisons(1 + rng.exponential(1.0, 4000))
    assert exponential["exponential"].favours == "alternative"
    assert exponential["truncated_power_law"].favours == "alternative"
    lognormal = comparisons(rng.lognormal(0.0, 0.5, 4000))
    assert lognormal["lognormal"].favours == "alternative"


@pytest.mark.filterwarnings("ignore")
def test_an_alternative_without_a_fit_has_no_numbers():
    """Three values cannot carry it: powerlaw says so, and so do we."""
    spectrum = Spectrum(np.array([1.0, 1.0, 1.0, 1.0, 1.0, 1.0, 1.0, 1e9]), "float64")
    fitted = Fit(
        status="ok", alpha=1.3, nominal_standard_error=0.1, xmin=1.0, tail=8, ks_distance=0.8
    )
    found = {one.alternative: one for one in compare_distributions(spectrum, fitted)}
    import powerlaw

    reference = powerlaw.Fit(
        spectrum.values, xmin=1.0, parameter_ranges={"alpha": [None, None]}, verbose=False
    )
    flags = {name: getattr(reference, name).noise_flag for name in ALTERNATIVES}
    assert any(flags.values())
    for name, flag in flags.items():
        if flag:
            assert (found[name].ratio, found[name].p_value) == (None, None)
            assert found[name].favours == "neither"


def test_a_scale_changes_nothing(rng):
    values = 1 + rng.exponential(1.0, 1000)
    small, large = comparisons(values * 1e-9), comparisons(values * 1e9)
    for name in ALTERNATIVES:
        assert small[name].ratio == pytest.approx(large[name].ratio, rel=1e-6)


def test_a_failed_fit_is_compared_with_nothing():
    spectrum = Spectrum(np.arange(1.0, 6.0), "float64")
    assert compare_distributions(spectrum, Fit(status="too_few_eigenvalues")) == ()


def test_minilm_is_no_power_law_in_its_larger_half(minilm, own_cache):
    """By hill's tail; the tail that ks picks is too short to tell."""
    plain = analyze(minilm, scope="adaptable")
    assert {matrix.likelihood_ratios for matrix in plain.matrices} == {None}
    favours = {}
    for estimator in ("hill", "ks"):
        found = analyze(minilm, scope="adaptable", compare_distributions=True, estimator=estimator)
        assert found.provenance.spectra_solved == 0
        favours[estimator] = [
            one.favours
            for matrix in found.matrices
            for one in matrix.likelihood_ratios
            if one.alternative == "lognormal"
        ]
        print(estimator, {name: favours[estimator].count(name) for name in set(favours[estimator])})
    assert favours["hill"].count("alternative") >= 30
    assert favours["ks"].count("neither") >= 30


def test_without_powerlaw_the_way_out_is_said(minilm, monkeypatch):
    monkeypatch.setitem(sys.modules, "powerlaw", None)
    with pytest.raises(InvalidOption, match=r"tailora\[distributions\]"):
        analyze(minilm, compare_distributions=True, modules="attention.self.key")
