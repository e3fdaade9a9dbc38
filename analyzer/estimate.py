"""What an analysis will take, before anything is read.

An n × m weight costs about n²m floating-point operations for the lower half of its Gram matrix,
and its reduction to tridiagonal form as much time as 2n³ more. Their speed is that of a matrix
product on this machine.
"""

import time
from collections.abc import Sequence

import numpy as np

from analyzer.outline import Estimate, Matrix

_SAMPLE = 1024
_BYTES = 4
_WORKING_COPIES = 3


def estimate(
    matrices: Sequence[Matrix], file_bytes: int, *, memory: int, speed: float | None = None
) -> Estimate:
    """The cost of these matrices when up to `memory` bytes are read ahead.

    `speed` is in floating-point operations a second, measured where it is not given.
    """
    speed = speed or product_speed()
    stored = sum(matrix.bytes for matrix in matrices)
    largest = max((matrix.shape[0] * matrix.shape[1] for matrix in matrices), default=0)
    return Estimate(
        matrices=len(matrices),
        bytes=stored,
        file_bytes=file_bytes,
        seconds=round(sum(map(operations, matrices)) / speed, 1),
        peak_memory=min(memory, stored) + _WORKING_COPIES * _BYTES * largest,
    )


def operations(matrix: Matrix) -> int:
    """Floating-point operations that take as long as solving a matrix."""
    short, long = matrix.eigenvalues, max(matrix.shape)
    return short**2 * (long + 2 * short)


def product_speed() -> float:
    """Floating-point operations a second of a float32 product by numpy, the best of three."""
    sample = np.random.default_rng(0).standard_normal((_SAMPLE, _SAMPLE)).astype(np.float32)
    best = min(_seconds(sample) for _ in range(3))
    return 2 * _SAMPLE**3 / best


def _seconds(sample: np.ndarray) -> float:
    started = time.perf_counter()
    _ = sample @ sample
    return time.perf_counter() - started
