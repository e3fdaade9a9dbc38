"""Measures in closed form, and the Marchenko-Pastur edge on random matrices."""

import numpy as np
import pytest
import torch

from analyzer.eigenvalues import eigenvalues
from analyzer.measures import measure
from analyzer.spectrum import Spectrum


@pytest.mark.parametrize("shape", [(800, 800), (400, 1600), (3000, 500)])
def test_a_random_matrix_ends_at_the_edge(shape):
    weight = 0.3 * torch.randn(*shape, generator=torch.Generator().manual_seed(0))
    spectrum = eigenvalues(weight)
    found = measure(spectrum, shape, None)
    assert found.spectral_norm == pytest.approx(found.marchenko_pastur_edge, rel=0.03)
    assert found.above_edge <= 2
    short, long = sorted(shape)
    # σ² · long · (1 + √(short/long))², the law's right end for entries of variance σ²
    edge = 0.09 * long * (1 + (short / long) ** 0.5) ** 2
    assert found.marchenko_pastur_edge == pytest.approx(edge, rel=0.01)


def test_a_planted_direction_lies_above_the_edge():
    generator = torch.Generator().manual_seed(1)
    weight = torch.randn(300, 600, generator=generator)
    weight += 0.5 * torch.ones(300, 1) @ torch.ones(1, 600)
    assert measure(eigenvalues(weight), (300, 600), None).above_edge == 1


def test_closed_forms():
    equal = measure(Spectrum(np.full(16, 3.0), "float64"), (16, 20), 2.0)
    assert equal.stable_rank == pytest.approx(16)
    assert equal.entropy == pytest.approx(1)
    assert equal.rank == 16
    assert equal.log_alpha_norm == pytest.approx(np.log10(16 * 9.0))
    one = measure(Spectrum(np.append(np.zeros(15), 4.0), "float64"), (16, 20), None)
    assert (one.stable_rank, one.entropy, one.rank) == (1.0, 0.0, 1)
    assert one.log_alpha_norm is None


def test_large_exponents_do_not_overflow():
    found = measure(Spectrum(np.array([1e-12, 1e12]), "float64"), (2, 2), 30.0)
    assert found.log_alpha_norm == pytest.approx(360)


def test_what_cannot_be_measured():
    assert measure(Spectrum(np.zeros(4), "float64"), (4, 4), None) is None
    failed = Spectrum(np.full(4, np.nan), "float64", "not_finite")
    assert measure(failed, (4, 4), None) is None
