"""The shape correction against random matrices and an independent sample of the law."""

import numpy as np
import pytest
import torch

from analyzer.aspect import check_aspect, corrected, marchenko_pastur_hill
from analyzer.eigenvalues import eigenvalues
from analyzer.errors import InvalidOption
from analyzer.tails import Fit, fit


def test_gaussian_matrices_of_all_shapes_come_out_equal():
    values = []
    for ratio in (1, 1.5, 2, 2.69, 4, 8):
        for seed in range(5):
            generator = torch.Generator().manual_seed(seed)
            shape = (512, int(512 * ratio))
            found = fit(eigenvalues(torch.randn(*shape, generator=generator)))
            values.append(corrected(found, shape, "marchenko_pastur").alpha)
    assert max(values) / min(values) < 1.03 / 0.97
    assert np.abs(np.array(values) / np.mean(values) - 1).max() < 0.03


@pytest.mark.parametrize("ratio", [1.0, 1.3, 3.0, 10.0])
def test_the_reference_value_is_that_of_the_law(ratio):
    """Against the quantiles of the density, integrated on a fine grid in λ."""
    y = 1 / ratio
    low, high = (1 - y**0.5) ** 2, (1 + y**0.5) ** 2
    # λ = low + (high − low) t², dense where the density of a square matrix diverges
    edges = low + (high - low) * np.linspace(0, 1, 2_000_001) ** 2
    middle = (edges[1:] + edges[:-1]) / 2
    density = np.sqrt((high - middle) * (middle - low)) / (2 * np.pi * y * middle)
    mass = density * np.diff(edges)
    total = np.cumsum(mass)
    assert total[-1] == pytest.approx(1, abs=1e-4)
    median = middle[np.searchsorted(total, total[-1] / 2)]
    upper = middle >= median
    excess = (mass[upper] * np.log(middle[upper] / median)).sum() / mass[upper].sum()
    assert marchenko_pastur_hill(ratio) == pytest.approx(1 + 1 / excess, rel=1e-4)


def test_the_error_is_scaled_with_alpha():
    plain = Fit(
        status="ok", alpha=4.0, nominal_standard_error=0.2, xmin=1.0, tail=10, ks_distance=0
    )
    half = corrected(plain, (100, 400), "marchenko_pastur")
    assert half.nominal_standard_error / half.alpha == pytest.approx(0.05)
    assert corrected(plain, (100, 400), "none") == plain
    failed = Fit(status="zero_matrix")
    assert corrected(failed, (100, 400), "marchenko_pastur") == failed


@pytest.mark.parametrize("estimator", ["ks", "peak", "peak_as_released"])
def test_only_hill_has_the_correction(estimator):
    with pytest.raises(InvalidOption, match="hill only"):
        check_aspect("marchenko_pastur", estimator)
    check_aspect("none", estimator)


def test_unknown_corrections_are_refused():
    with pytest.raises(InvalidOption, match="none, marchenko_pastur"):
        check_aspect("farms", "hill")
