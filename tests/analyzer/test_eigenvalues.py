"""Eigenvalues of matrices whose spectrum is known in closed form, and of hostile ones."""

import numpy as np
import pytest
import torch

from analyzer.eigenvalues import choose_device, cut, eigenvalues
from analyzer.errors import InvalidOption
from analyzer.outline import View
from analyzer.spectrum import PRECISIONS, SOLVERS
from analyzer.tails import ESTIMATORS, fit

ROUNDING = {"float32": 1e-5, "float64": 1e-12}


def with_spectrum(singular, rows, columns, seed=0):
    """A float64 matrix with these singular values, between random orthogonal ones."""
    generator = torch.Generator().manual_seed(seed)
    n = len(singular)
    left = torch.linalg.qr(torch.randn(rows, n, generator=generator, dtype=torch.float64))[0]
    right = torch.linalg.qr(torch.randn(columns, n, generator=generator, dtype=torch.float64))[0]
    return left @ torch.diag(torch.as_tensor(singular, dtype=torch.float64)) @ right.T


@pytest.mark.parametrize("solver", SOLVERS)
@pytest.mark.parametrize("precision", PRECISIONS)
@pytest.mark.parametrize("shape", [(60, 60), (60, 150), (150, 60), (700, 9000)])
def test_known_singular_values(shape, precision, solver):
    singular = np.linspace(1.0, 3.0, min(shape))
    found = eigenvalues(with_spectrum(singular, *shape), precision=precision, solver=solver)
    assert found.status == "ok"
    np.testing.assert_allclose(found.values, singular**2, rtol=20 * ROUNDING[precision])


@pytest.mark.parametrize("scale", [1e-38, 1e-30, 1.0, 1e15, 1e30])
def test_scale_changes_nothing_but_the_scale(scale):
    weight = torch.randn(40, 50, generator=torch.Generator().manual_seed(1))
    plain, scaled = eigenvalues(weight), eigenvalues((weight.double() * scale).float())
    np.testing.assert_allclose(scaled.values, plain.values * scale**2, rtol=1e-4)
    assert fit(scaled).alpha == pytest.approx(fit(plain).alpha, rel=1e-4)


def test_transposed_and_strided_weights():
    weight = torch.randn(64, 300, generator=torch.Generator().manual_seed(2))
    expected = eigenvalues(weight).values
    for view in (weight.T, weight.T.contiguous(), torch.stack([weight, weight], 2)[..., 0]):
        np.testing.assert_allclose(eigenvalues(view).values, expected, rtol=1e-4, atol=1e-4)


def broken(value: float) -> torch.Tensor:
    weight = torch.randn(20, 30)
    weight[3, 7] = value
    return weight


HOSTILE = {
    "zero_matrix": torch.zeros(16, 20),
    "flat_spectrum": torch.eye(64),
    "rank_deficient": torch.randn(64, 3) @ torch.randn(3, 64),
    "too_few_eigenvalues": torch.randn(1, 500),
    "not_finite": broken(float("nan")),
}


@pytest.mark.parametrize("solver", SOLVERS)
@pytest.mark.parametrize("precision", PRECISIONS)
@pytest.mark.parametrize("status", HOSTILE)
def test_hostile_matrices_have_a_status(status, precision, solver):
    found = eigenvalues(HOSTILE[status], precision=precision, solver=solver)
    for estimator, rule in ESTIMATORS.items():
        result = fit(found, estimator)
        if rule.precision == "float64" and precision == "float32" and status == "flat_spectrum":
            assert result.status == "needs_float64"
            continue
        assert result.status == status
        assert result.alpha is result.xmin is result.ks_distance is None


@pytest.mark.parametrize("value", [float("inf"), float("-inf"), float("nan")])
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16, torch.float16, torch.float64])
def test_not_finite(value, dtype):
    assert fit(eigenvalues(broken(value).to(dtype))).status == "not_finite"


@pytest.mark.parametrize(
    ("weight", "status"),
    [
        (torch.ones(64, 80), "rank_deficient"),
        (torch.full((20, 20), 3e38), "rank_deficient"),
        (torch.eye(8) * 1e-20, "flat_spectrum"),
        (torch.eye(64)[:, torch.randperm(64)].bfloat16(), "flat_spectrum"),
        (torch.linalg.qr(torch.randn(256, 256))[0], "flat_spectrum"),
        (torch.tensor([[5.0]]), "too_few_eigenvalues"),
        (torch.zeros(1, 1), "zero_matrix"),
        (torch.zeros(0, 5), "zero_matrix"),
        (torch.randn(7, 7), "too_few_eigenvalues"),
        (torch.randn(8, 8), "ok"),
    ],
)
def test_special_matrices(weight, status):
    for precision in PRECISIONS:
        for estimator in ("hill", "ks"):
            assert fit(eigenvalues(weight, precision=precision), estimator).status == status


@pytest.mark.parametrize("precision", PRECISIONS)
@pytest.mark.parametrize(("zeros", "status"), [(50, "ok"), (51, "rank_deficient")])
def test_zeros_count_but_only_the_tail_half_matters(precision, zeros, status):
    """100 eigenvalues: hill starts at index 50, which 50 zeros leave and 51 reach."""
    singular = np.concatenate([np.zeros(zeros), np.geomspace(1.0, 30.0, 100 - zeros)])
    found = eigenvalues(with_spectrum(singular, 100, 130), precision=precision)
    result = fit(found)
    assert result.status == status
    if status == "ok":
        tail = 2 * np.log(np.geomspace(1.0, 30.0, 50))
        assert result.alpha == pytest.approx(1 + 50 / tail.sum(), rel=1e-4)
        assert result.tail == 50
        assert fit(found, "ks").xmin == pytest.approx(1.0, rel=1e-4), (
            "a zero must never be a threshold"
        )


@pytest.mark.parametrize("transpose", [False, True])
def test_cut_takes_the_same_rows_of_every_group(transpose):
    weight = torch.arange(12.0)[:, None] * torch.ones(1, 3)
    view = View(transpose=transpose, groups=3, start=1, stop=3)
    found = cut(weight.T.contiguous() if transpose else weight, view)
    assert found[:, 0].tolist() == [1, 2, 5, 6, 9, 10]


def test_unknown_devices_are_refused():
    for name, message in (("tpu9", "unknown"), ("meta", "cannot solve"), ("cuda:77", "not there")):
        with pytest.raises(InvalidOption, match=message):
            choose_device(name)


@pytest.mark.gpu
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
@pytest.mark.parametrize("precision", PRECISIONS)
def test_cuda_agrees_with_the_cpu(precision, dtype):
    weight = torch.randn(300, 500, generator=torch.Generator().manual_seed(3)).to(dtype)
    torch.set_float32_matmul_precision("medium")
    on_gpu = eigenvalues(weight, precision=precision, device=torch.device("cuda"))
    assert torch.get_float32_matmul_precision() == "medium"
    on_cpu = eigenvalues(weight, precision=precision)
    np.testing.assert_allclose(on_gpu.values, on_cpu.values, rtol=100 * ROUNDING[precision])
