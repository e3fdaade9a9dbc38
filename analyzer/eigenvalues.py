"""Exact eigenvalues λ = σ² of one weight, on CPU or CUDA.

They are taken from the smaller Gram matrix, of which only the lower triangle is computed: a
half product and a symmetric eigenvalue problem cost a fraction of a singular value
decomposition. Their absolute error is about eps · λ_max, so eigenvalues below
`Spectrum.null_level` are noise; `solver="svd"` resolves those too, for its price.
"""

from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np
import torch
from torch.linalg import LinAlgError  # type: ignore[attr-defined]  # exported under this name

from analyzer.errors import InvalidOption
from analyzer.outline import View
from analyzer.spectrum import Precision, Solver, Spectrum, SpectrumStatus

_COLUMNS = 8192
_ROW_BLOCKS = 8
_SMALLEST_BLOCK = 96
_LARGEST_EXPONENT = {torch.float32: 120, torch.float64: 1000}
_HARMLESS_EXPONENT = 30


def choose_device(name: str = "auto") -> torch.device:
    """The device of that name: `auto` (CUDA where there is one), `cpu`, `cuda` or `cuda:N`.

    Raises InvalidOption where it is not there.
    """
    if name == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    try:
        device = torch.device(name)
    except RuntimeError as error:
        raise InvalidOption(f"device {name} is unknown; use auto, cpu, cuda or cuda:N") from error
    if device.type not in ("cpu", "cuda"):
        raise InvalidOption(f"device {name} cannot solve for eigenvalues; use cpu or cuda")
    if device.type == "cuda" and (device.index or 0) >= torch.cuda.device_count():
        raise InvalidOption(
            f"device {name} is not there: torch {torch.__version__} sees "
            f"{torch.cuda.device_count()} CUDA devices; use --device cpu"
        )
    return device


def cut(weight: torch.Tensor, view: View) -> torch.Tensor:
    """The matrix (out × in) that `view` takes from a stored weight, without copying where it can.

    The expert is already selected: `weight` is 2-D.
    """
    matrix = weight.T if view.transpose else weight
    if view.stop is None:
        return matrix
    if view.groups == 1:
        return matrix[view.start : view.stop]
    rows, columns = matrix.shape
    grouped = matrix.reshape(view.groups, rows // view.groups, columns)
    return grouped[:, view.start : view.stop].reshape(-1, columns)


def eigenvalues(
    weight: torch.Tensor,
    *,
    precision: Precision = "float32",
    solver: Solver = "gram",
    device: torch.device | None = None,
) -> Spectrum:
    """The spectrum of a 2-D weight of any float dtype, shape (out, in).

    A weight with NaN or infinite entries gives the status `not_finite`. Of very large or small
    weights a power of two is divided out first and put back in float64, so that no square of a
    finite float32 weight overflows or vanishes.
    """
    dtype = torch.float32 if precision == "float32" else torch.float64
    matrix = weight.to(device or torch.device("cpu"))
    if matrix.shape[0] > matrix.shape[1]:
        matrix = matrix.T
    if matrix.numel() == 0:
        return Spectrum(np.empty(0), precision)
    largest = max(abs(float(end)) for end in torch.aminmax(matrix))
    if not np.isfinite(largest):
        return _failed(matrix, precision, "not_finite")
    exponent = _exponent(largest, dtype)
    try:
        with _full_float32(matrix.device):
            solved = _solve(matrix, dtype, 2.0**-exponent, solver)
    except LinAlgError:
        return _failed(matrix, precision, "no_convergence")
    values = np.ldexp(np.maximum(solved.cpu().double().numpy(), 0.0), 2 * exponent)
    if not np.isfinite(values).all():
        return _failed(matrix, precision, "not_finite")
    return Spectrum(np.sort(values), precision)


def _exponent(largest: float, dtype: torch.dtype) -> int:
    """The power of two to divide out; 0 where squares neither overflow nor vanish anyway."""
    exponent = int(np.frexp(largest)[1])
    if abs(exponent) <= _HARMLESS_EXPONENT:
        return 0
    limit = _LARGEST_EXPONENT[dtype]
    return max(-limit, min(exponent, limit))


def _solve(matrix: torch.Tensor, dtype: torch.dtype, scale: float, solver: Solver) -> torch.Tensor:
    if solver == "svd":
        singular: torch.Tensor = torch.linalg.svdvals(_scaled(matrix, dtype, scale))
        return singular.double().square()
    solved: torch.Tensor = torch.linalg.eigvalsh(_gram(matrix, dtype, scale), UPLO="L")
    return solved


def _gram(matrix: torch.Tensor, dtype: torch.dtype, scale: float) -> torch.Tensor:
    """Lower triangle of W Wᵀ for W of shape (short, long); what lies above it is not used.

    The long side is cast in slices, so that memory beyond the weight itself stays bounded.
    """
    short, long = matrix.shape
    rows = max(_SMALLEST_BLOCK, -(-short // _ROW_BLOCKS))
    gram = torch.zeros(short, short, dtype=dtype, device=matrix.device)
    for left in range(0, long, _COLUMNS):
        columns = _scaled(matrix[:, left : left + _COLUMNS], dtype, scale)
        for top in range(0, short, rows):
            bottom = min(top + rows, short)
            gram[top:bottom, :bottom].addmm_(columns[top:bottom], columns[:bottom].T)
    return gram


def _scaled(matrix: torch.Tensor, dtype: torch.dtype, scale: float) -> torch.Tensor:
    cast = matrix.to(dtype)
    return cast if scale == 1.0 else cast * scale


def _failed(matrix: torch.Tensor, precision: Precision, status: SpectrumStatus) -> Spectrum:
    return Spectrum(np.full(matrix.shape[0], np.nan), precision, status)


@contextmanager
def _full_float32(device: torch.device) -> Iterator[None]:
    """Keep CUDA from rounding float32 products to TF32, whatever the caller has set."""
    if device.type != "cuda":
        yield
        return
    before = torch.get_float32_matmul_precision()
    torch.set_float32_matmul_precision("highest")
    try:
        yield
    finally:
        torch.set_float32_matmul_precision(before)
