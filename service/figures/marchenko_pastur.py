"""The spectral density of a random matrix: the Marchenko-Pastur law in a weight's own units."""

import numpy as np
from numpy.typing import NDArray

from analyzer.report import Analysis, MatrixResult
from analyzer.spectrum import Spectrum
from service.figures.figure import Series

POINTS = 200
Floats = NDArray[np.float64]


def law(shape: tuple[int, int], variance: float, points: int = POINTS) -> tuple[Floats, Floats]:
    """Eigenvalues λ = σ² and their density for independent entries of that variance.

    With N the long and n the short side, y = n/N and λ± = N·variance·(1 ± √y)², the density is
    √((λ₊ − λ)(λ − λ₋)) / (2π·n·variance·λ). The points lie inside the support, close at its ends.
    """
    short, long = min(shape), max(shape)
    root = np.sqrt(short / long)
    angles = np.pi * (np.arange(points) + 0.5) / points
    scale = long * variance
    values = scale * (1 + root**2 - 2 * root * np.cos(angles))
    half = 2 * scale * root * np.sin(angles)
    return values, half / (2 * np.pi * short * variance * values)


def law_of(analysis: Analysis, matrix: MatrixResult, spectrum: Spectrum) -> Series | str:
    """The curve for a matrix's shape and variance (its mean square); else why there is none."""
    if analysis.kind == "adapter":
        return "no Marchenko-Pastur curve: the update of an adapter is not of full rank"
    windows = analysis.settings.windows
    shape = windows.shape(matrix.shape) if windows is not None else matrix.shape
    variance = float(spectrum.values.mean()) / max(shape)
    if variance <= 0.0:
        return "no Marchenko-Pastur curve: the matrix is zero"
    x, y = law(shape, variance)
    ratio = max(shape) / min(shape)
    return Series(
        name=f"Marchenko-Pastur, Q = {ratio:.3g}", kind="line", x=tuple(x.tolist()),
        y=tuple(y.tolist()), colour=1,
    )  # fmt: skip
