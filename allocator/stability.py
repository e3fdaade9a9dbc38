"""How much a plan hangs on its estimator: the counts that the others would give."""

from collections.abc import Callable
from dataclasses import replace

from allocator.errors import AllocatorError
from allocator.options import PlanOptions
from allocator.plan import Alternative
from allocator.subject import Subject, subject_of
from analyzer.errors import BadModel
from analyzer.report import Analysis
from analyzer.tails import ESTIMATORS

Recount = Callable[[Subject, PlanOptions, int], tuple[int, ...]]


def alternatives(
    given: object, options: PlanOptions, counts: tuple[int, ...], recount: Recount
) -> tuple[Alternative, ...]:
    """What each other estimator would give from the same spectra; empty without spectra.

    A peak estimator on float32 spectra says `needs_float64`; under an aspect correction that
    only hill knows, the others are `not_applicable`.
    """
    if not isinstance(given, Analysis):
        return ()
    return tuple(
        _alternative(given, name, options, counts, recount)
        for name in ESTIMATORS
        if name != options.estimator
    )


def _alternative(
    analysis: Analysis,
    name: str,
    options: PlanOptions,
    counts: tuple[int, ...],
    recount: Recount,
) -> Alternative:
    if options.aspect != "none" and name != "hill":
        return Alternative(estimator=name, status="not_applicable")
    if any(name not in matrix.fits for matrix in analysis.matrices):
        return Alternative(estimator=name, status="needs_float64")
    other = replace(options, estimator=name)
    try:
        found = recount(subject_of(analysis, other, True), other, sum(counts))
    except BadModel:
        return Alternative(estimator=name, status="no_fit")
    except AllocatorError:
        return Alternative(estimator=name, status="no_plan")
    changed = sum(mine != its for mine, its in zip(counts, found, strict=True))
    return Alternative(estimator=name, status="ok", counts=found, changed=changed)
