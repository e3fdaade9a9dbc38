"""How sure a plan's counts are: the plan under many draws of its alphas.

`nominal`: every alpha moves within its nominal standard error, as if eigenvalues were independent.
`resampling`: every matrix's alpha moves as it does over random halves of its rows and columns, so
that eigenvalues repel as they do. Each draw is allocated anew.
"""

from collections import Counter
from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from allocator.errors import AllocatorError, InvalidRequest
from allocator.plan import AlternativeStatus, Scatter, ScatterSource, Spread
from allocator.request import PlanRequest
from analyzer.aspect import reference_alpha
from analyzer.report import MatrixResult, Value, weights_of
from analyzer.resample import Resampling
from analyzer.text import listed

LEAST_ALPHA = 0.01
"""What a draw is cut at: no method takes an alpha that is not positive."""

NOTES: dict[ScatterSource, str] = {
    "nominal": "alphas drawn within their nominal standard errors, which hold for independent "
    "draws; eigenvalues repel each other, so by hill this scatter is too wide",
    "resampling": "alphas moved as they move over random halves of the rows and columns of each "
    "matrix; for random matrices this errs on the wide side, by up to twice",
}

Floats = NDArray[np.float64]


def nominal_scatter(
    request: PlanRequest, counts: tuple[int, ...], *, draws: int, seed: int
) -> Scatter:
    """The plan under normal draws of its alphas; `not_applicable` where they have no error."""
    values = _values(request)
    errors = [value.nominal_standard_error for value in values]
    if not values or any(error is None for error in errors):
        return _without("nominal", "not_applicable", draws, seed)
    alphas = np.array([value.alpha for value in values])
    widths = np.array(errors, dtype=np.float64)
    noise = np.random.default_rng(seed).standard_normal((draws, len(alphas)))
    return _scatter("nominal", alphas + noise * widths, request, counts, seed)


def resampling_scatter(
    request: PlanRequest, counts: tuple[int, ...], resampling: Resampling
) -> Scatter:
    """The plan under the draws of a resampling; `not_applicable` where nothing was resampled.

    A draw in which a half has no fit is left out with all of its number. A matrix most of whose
    halves have none (they are smaller) is held still, and said; `no_fit` where all are. Raises
    InvalidRequest where the resampling is not of this plan's weights and estimator.
    """
    draws, seed = resampling.halves.draws, resampling.halves.seed
    values = _values(request)
    if not values or not resampling.matrices:
        return _without("resampling", "not_applicable", draws, seed)
    shifts, still = _shifts(request, values, resampling)
    if not shifts:
        return _without("resampling", "no_fit", draws, seed)
    found = _scatter("resampling", _drawn(request, values, shifts), request, counts, seed)
    if not still:
        return found
    held = f"{NOTES['resampling']}; held still, since their halves are too small: {listed(still)}"
    return found.model_copy(update={"note": held})


def _values(request: PlanRequest) -> list[Value]:
    """The value behind each count; none where they are scores."""
    return request.subject.slot_values(request.options) if request.subject.matrices else []


def _groups(request: PlanRequest, values: Sequence[Value]) -> list[list[MatrixResult]]:
    """The matrices with a fit behind each value."""
    groups = request.subject.groups(request.options)
    return [
        [matrix for matrix in group if matrix.name not in value.left_out]
        for value, (_, group) in zip(values, groups, strict=True)
    ]


def _shifts(
    request: PlanRequest, values: Sequence[Value], resampling: Resampling
) -> tuple[dict[str, Floats], list[str]]:
    """How the alpha of each matrix moves in every usable draw, and which are held still.

    Draws are taken about their own mean: a half has another alpha than the whole, by its size.
    """
    matrices = [matrix for group in _groups(request, values) for matrix in group]
    found = {one.name: np.array(one.alphas, np.float64) for one in resampling.matrices}
    subject, options = request.subject, request.options
    of_this = (resampling.weights, resampling.estimator, resampling.rounded) == (
        subject.weights,
        options.estimator,
        subject.rounded,
    )
    if not of_this or not {matrix.name for matrix in matrices} <= set(found):
        raise InvalidRequest(
            f"the resampling is by {resampling.estimator}, or of other weights; make it of this "
            f"model by {options.estimator}"
        )
    moving = [m for m in matrices if 2 * np.isfinite(found[m.name]).sum() >= len(found[m.name])]
    usable = np.isfinite([found[matrix.name] for matrix in moving]).all(axis=0)
    if not moving or usable.sum() < max(2, resampling.halves.draws / 2):
        return {}, []
    shifts = {}
    for matrix in moving:
        drawn = found[matrix.name][usable] / reference_alpha(matrix.shape, options.aspect)
        shifts[matrix.name] = drawn - drawn.mean()
    return shifts, [matrix.name for matrix in matrices if matrix.name not in shifts]


def _drawn(request: PlanRequest, values: Sequence[Value], shifts: Mapping[str, Floats]) -> Floats:
    """The value behind each count in every draw, shape (draws, counts)."""
    still = np.zeros_like(next(iter(shifts.values())))
    columns = []
    for value, group in zip(values, _groups(request, values), strict=True):
        moved = [shifts.get(matrix.name, still) for matrix in group]
        weights = weights_of(group, request.options.weighting)
        columns.append(value.alpha + np.average(moved, axis=0, weights=weights))
    return np.transpose(columns)


def _scatter(
    source: ScatterSource, drawn: Floats, request: PlanRequest, counts: tuple[int, ...], seed: int
) -> Scatter:
    """The counts of every draw (rows of `drawn`), summed up for each slot."""
    try:
        found = [
            request.recount(tuple(map(float, row)), sum(counts))
            for row in np.maximum(drawn, LEAST_ALPHA)
        ]
    except AllocatorError:
        return _without(source, "no_plan", len(drawn), seed)
    spreads = []
    for slot, own in enumerate(counts):
        seen = Counter(row[slot] for row in found)
        spreads.append(
            Spread(
                standard_error=float(drawn[:, slot].std(ddof=1)),
                counts=dict(sorted(seen.items())),
                kept=seen[own] / len(found),
            )
        )
    return Scatter(
        source=source,
        note=NOTES[source],
        draws=len(found),
        seed=seed,
        kept=sum(row == counts for row in found) / len(found),
        spreads=tuple(spreads),
    )


def _without(source: ScatterSource, status: AlternativeStatus, draws: int, seed: int) -> Scatter:
    return Scatter(source=source, note=NOTES[source], status=status, draws=draws, seed=seed)
