"""Experts of a MoE base: a seeded sample of them, and what it says of all."""

import hashlib
from collections.abc import Iterable, Sequence
from math import sqrt
from statistics import fmean, stdev

from analyzer.outline import AnyMatrix, Matrix, blocks_of
from analyzer.report import ExpertsValue, MatrixResult

SEED = 0


def sample_experts(matrices: Sequence[AnyMatrix], per_layer: int) -> list[AnyMatrix]:
    """The matrices, of each block's experts only `per_layer`, the same on every machine.

    Drawn without replacement, by the order of a hash; all matrices of a drawn expert stay.
    """
    drawn = {
        place: set(sorted(_indices(block), key=lambda index: _rank(place, index))[:per_layer])
        for place, block in blocks_of(matrices).items()
    }
    return [
        matrix
        for matrix in matrices
        if matrix.role != "expert"
        or matrix.expert is None
        or matrix.stack is None
        or matrix.layer is None
        or matrix.expert in drawn[matrix.stack, matrix.layer]
    ]


def _indices(block: Iterable[Matrix]) -> set[int]:
    return {m.expert for m in block if m.role == "expert" and m.expert is not None}


def _rank(place: tuple[str, int], index: int) -> bytes:
    return hashlib.sha256(f"{SEED} {place[0]} {place[1]} {index}".encode()).digest()


def experts_values(
    every: Iterable[Matrix], measured: Iterable[MatrixResult], estimator: str
) -> list[ExpertsValue]:
    """One value for each block with experts; `every` holds the outline's matrices."""
    totals = {place: len(_indices(block)) for place, block in blocks_of(every).items()}
    values = []
    for (stack, layer), block in blocks_of(measured).items():
        alphas = _alphas(block, estimator)
        total = totals.get((stack, layer), 0)
        if not _indices(block):
            continue
        values.append(
            ExpertsValue(
                stack=stack,
                layer=layer,
                experts=total,
                sampled=len(alphas),
                alpha=fmean(alphas) if alphas else None,
                sampling_error=_sampling_error(alphas, len(_indices(block)), total),
            )
        )
    return values


def _alphas(block: Iterable[MatrixResult], estimator: str) -> list[float]:
    """The mean alpha of each expert that has one."""
    found: dict[int, list[float]] = {}
    for matrix in block:
        alpha = matrix.fits[estimator].alpha
        if matrix.role == "expert" and matrix.expert is not None and alpha is not None:
            found.setdefault(matrix.expert, []).append(alpha)
    return [fmean(alphas) for alphas in found.values()]


def _sampling_error(alphas: Sequence[float], read: int, total: int) -> float | None:
    if read >= total:
        return 0.0
    if len(alphas) < 2:
        return None
    return stdev(alphas) / sqrt(len(alphas)) * sqrt(1.0 - len(alphas) / total)
