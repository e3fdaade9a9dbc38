"""Spectra and exponents of real weights against golden numbers of independent code."""

import pytest
import torch
from safetensors.torch import load_file

from analyzer.eigenvalues import eigenvalues
from analyzer.measures import measure
from analyzer.spectrum import PRECISIONS, SOLVERS
from analyzer.tails import fit
from tests.golden import minilm_matrices

HILL_AND_KS = {"float32": 1e-4, "float64": 1e-8}
FULL = [golden for golden in minilm_matrices() if golden["n_evals"] == 384]


@pytest.fixture(scope="module")
def weights(minilm):
    return load_file(minilm / "model.safetensors")


@pytest.fixture(scope="module")
def spectra(weights):
    return {
        (golden["name"], precision): eigenvalues(weights[golden["name"]], precision=precision)
        for golden in minilm_matrices()
        for precision in PRECISIONS
    }


def test_all_matrices_are_compared():
    assert len(FULL) == 39
    assert len(minilm_matrices()) == 40


@pytest.mark.parametrize("precision", PRECISIONS)
@pytest.mark.parametrize(
    ("estimator", "column"), [("hill", "hill_half_inclusive"), ("ks", "ks_full_scan")]
)
def test_hill_and_ks(spectra, precision, estimator, column):
    for golden in FULL:
        found = fit(spectra[golden["name"], precision], estimator)
        expected = golden[column]
        assert found.alpha == pytest.approx(expected["alpha"], rel=HILL_AND_KS[precision])
        assert found.xmin == pytest.approx(expected["xmin"], rel=HILL_AND_KS[precision])
        assert found.ks_distance == pytest.approx(expected["D"], rel=1e-3)
        assert found.tail == expected["n_tail"]
        error = (expected["alpha"] - 1) / expected["n_tail"] ** 0.5
        assert found.nominal_standard_error == pytest.approx(error, rel=1e-3)


def test_peak_as_released_is_alphalora(spectra):
    for golden in FULL:
        found = fit(spectra[golden["name"], "float64"], "peak_as_released")
        expected = golden["alphalora_fix_finger_reference"]["alpha_float64_input"]
        assert found.alpha == pytest.approx(expected, rel=1e-4)


def test_peak_is_the_window_as_intended(spectra):
    for golden in FULL:
        found = fit(spectra[golden["name"], "float64"], "peak")
        expected = golden["fix_finger_rule_float64"]["as_intended"]
        assert found.alpha == pytest.approx(expected["alpha"], rel=1e-8)
        assert found.xmin == pytest.approx(expected["xmin"], rel=1e-8)


@pytest.mark.parametrize("estimator", ["peak", "peak_as_released"])
def test_peak_needs_float64(spectra, estimator):
    assert fit(spectra[FULL[0]["name"], "float32"], estimator).status == "needs_float64"


def test_the_matrix_with_two_eigenvalues(spectra):
    tiny = next(golden for golden in minilm_matrices() if golden["n_evals"] == 2)
    for precision in PRECISIONS:
        for estimator in ("hill", "ks"):
            found = fit(spectra[tiny["name"], precision], estimator)
            assert found.status == "too_few_eigenvalues"
            assert found.alpha is None


@pytest.mark.parametrize("solver", SOLVERS)
@pytest.mark.parametrize(("precision", "rel"), [("float32", 2e-6), ("float64", 1e-9)])
def test_eigenvalues(weights, precision, rel, solver):
    for golden in FULL[::6]:
        found = eigenvalues(weights[golden["name"]], precision=precision, solver=solver)
        largest = golden["lambda_max"]
        assert found.values[-1] == pytest.approx(largest, rel=rel)
        assert found.values[192] == pytest.approx(golden["lambda_median_upper"], abs=rel * largest)
        assert found.values.sum() == pytest.approx(golden["frobenius_sq"], rel=rel)


def test_measures_are_weightwatchers(spectra):
    compared = 0
    for golden in FULL:
        reference = golden["weightwatcher_default"]
        if reference is None:
            continue
        spectrum = spectra[golden["name"], "float64"]
        shape = tuple(golden["shape"])
        found = measure(spectrum, shape, fit(spectrum, "ks").alpha)
        assert found is not None
        assert found.spectral_norm == pytest.approx(reference["spectral_norm"], rel=1e-8)
        assert found.frobenius_norm == pytest.approx(reference["norm"], rel=1e-8)
        assert found.stable_rank == pytest.approx(reference["stable_rank"], rel=1e-8)
        assert found.log_alpha_norm == pytest.approx(reference["log_alpha_norm"], rel=1e-8)
        assert found.rank == reference["matrix_rank"]
        # WeightWatcher adds 1e-10 to every share before taking logarithms.
        assert found.entropy == pytest.approx(reference["entropy"], abs=1e-6)
        compared += 1
    assert compared >= 36


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_half_precision_weights_are_solved_as_they_are(weights, dtype):
    weight = weights[FULL[10]["name"]].to(dtype)
    found = eigenvalues(weight, precision="float64")
    singular = torch.linalg.svdvals(weight.double())
    torch.testing.assert_close(
        torch.from_numpy(found.values), singular.square().flip(0), rtol=1e-9, atol=1e-13
    )
