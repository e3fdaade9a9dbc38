"""How far hill's alpha scatters: nominal and resampled errors against matrices drawn anew.

    python -m benchmarks.scatter [--draws 150] [--matrices 6] [--halves 60]

The truth is the standard deviation over matrices of one kind. Nominal and resampled errors are
means over a few of them, in units of the truth.
"""

import argparse
from collections.abc import Callable

import numpy as np
import torch

from analyzer.eigenvalues import eigenvalues, window_eigenvalues
from analyzer.sampling import Halves
from analyzer.tails import fit
from benchmarks.machine import describe

Rng = np.random.Generator
Shape = tuple[int, int]


def gaussian(shape: Shape, rng: Rng) -> np.ndarray:
    return rng.normal(size=shape)


def drawn_scales(shape: Shape, rng: Rng) -> np.ndarray:
    """Rows and columns have scales of their own, drawn anew with every matrix."""
    rows, columns = (np.exp(0.7 * rng.normal(size=size)) for size in shape)
    return rows[:, None] * rng.normal(size=shape) * columns


def fixed_scales(shape: Shape, rng: Rng) -> np.ndarray:
    """The same scales in every matrix, falling like a power law."""
    rows, columns = (np.arange(1, size + 1) ** -0.5 for size in shape)
    return rows[:, None] * rng.normal(size=shape) * columns


def heavy_entries(shape: Shape, rng: Rng) -> np.ndarray:
    return rng.standard_t(3, size=shape)


def low_rank_signal(shape: Shape, rng: Rng) -> np.ndarray:
    """A random matrix and an eighth of its rank as a signal that falls like a power law."""
    rank = shape[0] // 8
    strength = 8.0 * np.arange(1, rank + 1) ** -0.6
    left, right = rng.normal(size=(shape[0], rank)), rng.normal(size=(rank, shape[1]))
    return rng.normal(size=shape) + (left * strength) @ right / shape[0] ** 0.5


KINDS: tuple[Callable[[Shape, Rng], np.ndarray], ...] = (
    gaussian, low_rank_signal, heavy_entries, drawn_scales, fixed_scales,
)  # fmt: skip


def hill(weight: np.ndarray) -> float:
    return fit(eigenvalues(torch.from_numpy(weight), precision="float64")).alpha or np.nan


def resampled_error(weight: np.ndarray, halves: Halves, name: str) -> float:
    places = halves.places((weight.shape[0], weight.shape[1]), name)
    found = window_eigenvalues(torch.from_numpy(weight), places, precision="float64")
    return float(np.std([fit(half).alpha for half in found.each()], ddof=1))


def row(kind: Callable[[Shape, Rng], np.ndarray], shape: Shape, given: argparse.Namespace) -> str:
    rng = np.random.default_rng(shape[1])
    alphas = [hill(kind(shape, rng)) for _ in range(given.draws)]
    truth, side = np.std(alphas, ddof=1), min(shape)
    nominal = (np.mean(alphas) - 1) / np.sqrt(side - side // 2)
    halves = Halves(draws=given.halves)
    errors = [
        resampled_error(kind(shape, rng), halves, str(number)) for number in range(given.matrices)
    ]
    resampled = np.sqrt(np.mean(np.square(errors)))
    name = kind.__name__.replace("_", " ")
    return (
        f"| {name} | {shape[0]} × {shape[1]} | {np.mean(alphas):.3f} | {truth:.4f} "
        f"| {nominal / truth:.1f} | {resampled / truth:.2f} |"
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--draws", type=int, default=150)
    parser.add_argument("--matrices", type=int, default=6)
    parser.add_argument("--halves", type=int, default=60)
    given = parser.parse_args()
    print(describe(), end="\n\n")
    print("| kind | shape | alpha | true scatter | nominal / true | resampled / true |")
    print("|---|---|---|---|---|---|")
    for kind in KINDS:
        for shape in ((256, 256), (256, 1024)):
            print(row(kind, shape, given), flush=True)
    for side in (128, 512, 1024):
        print(row(gaussian, (side, side), given), flush=True)


if __name__ == "__main__":
    main()
