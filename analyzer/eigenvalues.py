"""Exact eigenvalues λ = σ² of one weight, on CPU or CUDA.

They are taken from the smaller Gram matrix, of which only the lower triangle is computed: a
half product and a symmetric eigenvalue problem cost a fraction of a singular value
decomposition. Their absolute error is about eps · λ_max, so eigenvalues below
`Spectrum.null_level` are noise; `solver="svd"` resolves those too, for its price.
"""

from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager

import numpy as np
import torch
from torch.linalg import LinAlgError  # type: ignore[attr-defined]  # exported under this name

from analyzer.errors import InvalidOption
from analyzer.outline import View
from analyzer.sampling import Index, Place
from analyzer.spectrum import Precision, Solver, Spectrum, SpectrumStatus

MOST_WINDOWED = {"cpu": 1_048_576, "cuda": 67_108_864}
"""Elements of windows that are solved as one batch, at most (unless one window has more)."""

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
    return batch_eigenvalues([weight], precision=precision, solver=solver, device=device)[0]


def batch_eigenvalues(
    weights: Sequence[torch.Tensor],
    *,
    precision: Precision = "float32",
    solver: Solver = "gram",
    device: torch.device | None = None,
) -> list[Spectrum]:
    """The spectra of weights of one shape, solved as a batch; see eigenvalues."""
    dtype = torch.float32 if precision == "float32" else torch.float64
    spectra: dict[int, Spectrum] = {}
    ready: dict[int, int] = {}
    prepared: list[torch.Tensor] = []
    for position, weight in enumerate(weights):
        matrix = weight.to(device or torch.device("cpu"))
        if matrix.shape[0] > matrix.shape[1]:
            matrix = matrix.T
        exponent = _exponent(matrix, dtype)
        if exponent is None:
            status: SpectrumStatus = "not_finite" if matrix.numel() else "ok"
            spectra[position] = _without_values(matrix, precision, status)
        else:
            ready[position] = exponent
            with _full_float32(matrix.device):
                prepared.append(_prepared(matrix, dtype, 2.0**-exponent, solver))
    for (position, exponent), solved in zip(ready.items(), _solve(prepared, solver), strict=True):
        spectra[position] = _spectrum(solved, exponent, precision, weights[position])
    return [spectra[position] for position in range(len(weights))]


def window_eigenvalues(
    weight: torch.Tensor,
    places: Iterable[Place],
    *,
    precision: Precision = "float32",
    solver: Solver = "gram",
    device: torch.device | None = None,
) -> Spectrum:
    """The spectra of equal windows of a 2-D weight, one after the other; see eigenvalues.

    Windows are solved in batches. One that is not finite or does not converge decides the status.
    """
    weight = weight.to(device or torch.device("cpu"))
    most = MOST_WINDOWED[weight.device.type]
    spectra: list[Spectrum] = []
    batch: list[torch.Tensor] = []

    def solve() -> None:
        spectra.extend(
            batch_eigenvalues(batch, precision=precision, solver=solver, device=weight.device)
        )
        batch.clear()

    for rows, columns in places:
        window = _window(weight, rows, columns)
        if batch and (len(batch) + 1) * window.numel() > most:
            solve()
        batch.append(window)
    solve()
    failed = [found.status for found in spectra if found.status != "ok"]
    values = np.concatenate([found.values for found in spectra])
    return Spectrum(values, precision, failed[0] if failed else "ok", len(spectra))


def _window(weight: torch.Tensor, rows: Index, columns: Index) -> torch.Tensor:
    def index(wanted: Index) -> slice | torch.Tensor:
        if isinstance(wanted, slice):
            return wanted
        return torch.from_numpy(wanted).to(weight.device)

    return weight[index(rows)][:, index(columns)]


def _spectrum(
    solved: torch.Tensor | None, exponent: int, precision: Precision, weight: torch.Tensor
) -> Spectrum:
    if solved is None:
        return _without_values(weight, precision, "no_convergence")
    values = np.ldexp(np.maximum(solved.cpu().double().numpy(), 0.0), 2 * exponent)
    if not np.isfinite(values).all():
        return _without_values(weight, precision, "not_finite")
    return Spectrum(np.sort(values), precision)


def _exponent(matrix: torch.Tensor, dtype: torch.dtype) -> int | None:
    """The power of two to divide out; 0 where squares neither overflow nor vanish anyway.

    None for a matrix without entries, or with one that is not finite.
    """
    if matrix.numel() == 0:
        return None
    largest = max(abs(float(end)) for end in torch.aminmax(matrix))
    if not np.isfinite(largest):
        return None
    exponent = int(np.frexp(largest)[1])
    if abs(exponent) <= _HARMLESS_EXPONENT:
        return 0
    limit = _LARGEST_EXPONENT[dtype]
    return max(-limit, min(exponent, limit))


def _prepared(
    matrix: torch.Tensor, dtype: torch.dtype, scale: float, solver: Solver
) -> torch.Tensor:
    return _scaled(matrix, dtype, scale) if solver == "svd" else _gram(matrix, dtype, scale)


def _solve(prepared: list[torch.Tensor], solver: Solver) -> list[torch.Tensor | None]:
    """Eigenvalues of each, at once where possible; None where the solver does not converge."""
    if not prepared:
        return []
    try:
        return list(_solved(prepared, solver))
    except LinAlgError:
        if len(prepared) == 1:
            return [None]
        return [found for one in prepared for found in _solve([one], solver)]


def _solved(prepared: list[torch.Tensor], solver: Solver) -> torch.Tensor:
    stacked = prepared[0][None] if len(prepared) == 1 else torch.stack(prepared)
    if solver == "svd":
        singular: torch.Tensor = torch.linalg.svdvals(stacked)
        return singular.double().square()
    solved: torch.Tensor = torch.linalg.eigvalsh(stacked, UPLO="L")
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


def _without_values(matrix: torch.Tensor, precision: Precision, status: SpectrumStatus) -> Spectrum:
    return Spectrum(np.full(min(matrix.shape), np.nan), precision, status)


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
