"""How much a plan hangs on its estimator, and on the rounding of its weights."""

from dataclasses import replace

from allocator.errors import AllocatorError, InvalidRequest
from allocator.options import PlanOptions
from allocator.plan import Alternative, Weights
from allocator.request import PlanRequest
from allocator.subject import Subject, subject_of
from analyzer.errors import BadModel
from analyzer.report import Analysis
from analyzer.tails import ESTIMATORS


def by_estimators(
    request: PlanRequest, analysis: Analysis, counts: tuple[int, ...]
) -> tuple[Alternative, ...]:
    """What each other estimator would give from the same spectra.

    A peak estimator on float32 spectra says `needs_float64`; under a correction that only hill
    knows, the others are `not_applicable`.
    """
    own = request.options
    others = [name for name in ESTIMATORS if name != own.estimator]
    if own.aspect == "marchenko_pastur":
        return tuple(Alternative(estimator=name, status="not_applicable") for name in others)
    return tuple(
        _alternative(request, analysis, request.subject, replace(own, estimator=name), counts)
        for name in others
    )


def by_rounding(
    request: PlanRequest, analysis: Analysis, rounded: Analysis, counts: tuple[int, ...]
) -> Alternative:
    """What the same weights rounded to bfloat16 would give; `no_fit` where a matrix loses its fit.

    Raises InvalidRequest where the two analyses are of different weights, windows or modules.
    """
    made, other = analysis.settings, rounded.settings
    same = (made.aspect, made.windows) == (other.aspect, other.windows)
    own, options = request.subject, request.options
    after = subject_of(rounded, options, False)
    if rounded.weights != analysis.weights or not same or _names(after) != _names(own):
        raise InvalidRequest(
            "the analysis of rounded weights is of other weights, windows or modules; "
            "make both alike"
        )
    if _left_out(after, options) != _left_out(own, options):
        return Alternative(estimator=options.estimator, weights="bfloat16", status="no_fit")
    return _alternative(request, rounded, after, options, counts, "bfloat16")


def _names(subject: Subject) -> set[str]:
    return {matrix.name for matrix in subject.matrices}


def _left_out(subject: Subject, options: PlanOptions) -> list[tuple[str, ...]] | None:
    """The matrices without a fit behind each count; None where a count has no fit at all."""
    try:
        return [value.left_out for value in subject.slot_values(options)]
    except BadModel:
        return None


def _alternative(
    request: PlanRequest,
    analysis: Analysis,
    subject: Subject,
    options: PlanOptions,
    counts: tuple[int, ...],
    weights: Weights = "stored",
) -> Alternative:
    name = options.estimator
    if any(name not in matrix.fits for matrix in analysis.matrices):
        return Alternative(estimator=name, weights=weights, status="needs_float64")
    try:
        found = request.recount(subject.alphas(options), sum(counts))
    except BadModel:
        return Alternative(estimator=name, weights=weights, status="no_fit")
    except AllocatorError:
        return Alternative(estimator=name, weights=weights, status="no_plan")
    changed = sum(mine != its for mine, its in zip(counts, found, strict=True))
    return Alternative(estimator=name, weights=weights, status="ok", counts=found, changed=changed)
