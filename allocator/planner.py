"""Make a plan."""

from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

from allocator.budget import check_parameters
from allocator.evidence import NOTHING, Evidence
from allocator.methods import method_named
from allocator.options import PlanOptions, options_from
from allocator.plan import Alternative, Budget, Plan, PlanProvenance, Scatter, digest_of
from allocator.request import PlanRequest, trainable_parameters
from allocator.scatter import nominal_scatter, resampling_scatter
from allocator.stability import by_estimators, by_rounding
from allocator.subject import Given
from analyzer.outline import Outline
from analyzer.report import Analysis
from analyzer.version import tailora_version


def make_plan(
    given: Given, options: PlanOptions | None = None, evidence: Evidence = NOTHING
) -> Plan:
    """How many experts each layer (or module) gets.

    `given` is an analysis, an outline (for methods that need no alphas), or one score per layer.
    `evidence` is what the plan is questioned with. Raises AllocatorError for a request that no
    plan can meet, AnalyzerError where the analysis lacks what the plan needs.
    """
    options = options or PlanOptions()
    request = PlanRequest(given, options)
    total = request.total()
    allocation = request.allocate(total)
    layers = request.layers(allocation)
    parameters = request.parameters()
    return Plan(
        digest=digest_of(request.subject.weights, options.method, parameters, allocation.counts),
        model=request.subject.model,
        revision=request.subject.revision,
        model_type=request.subject.model_type,
        weights=request.subject.weights,
        method=options.method,
        parameters=parameters,
        budget=Budget(
            kind=options.budget_kind,
            requested=options.budget,
            experts=total,
            allocated=sum(allocation.counts),
        ),
        values=request.subject.values,
        stacks=request.subject.stacks,
        layers=tuple(layers),
        trainable_parameters=trainable_parameters(layers),
        skipped=request.subject.skipped,
        warnings=tuple(dict.fromkeys((*request.subject.warnings, *evidence.warnings))),
        stability=_stability(request, given, allocation.counts, evidence),
        scatter=_scatter(request, allocation.counts, evidence),
        provenance=_provenance(given),
    )


def plan(given: Given, *, evidence: Evidence = NOTHING, **words: Any) -> Plan:
    """make_plan in keywords: the fields of PlanOptions and the method's own parameters.

    `plan(analysis, budget=160, beta=3)`, `plan(outline, method="mola", shape="2468")`.
    """
    return make_plan(given, options_from(words), evidence)


def _stability(
    request: PlanRequest, given: Given, counts: tuple[int, ...], evidence: Evidence
) -> tuple[Alternative, ...]:
    """The counts under other estimators and rounding; empty for a plan without alphas."""
    if not (isinstance(given, Analysis) and request.subject.values == "alpha"):
        return ()
    found = by_estimators(request, given, counts)
    if evidence.rounded is None:
        return found
    return (*found, by_rounding(request, given, evidence.rounded, counts))


def _scatter(
    request: PlanRequest, counts: tuple[int, ...], evidence: Evidence
) -> tuple[Scatter, ...]:
    """The plan under draws of its alphas; empty for a plan without values."""
    if request.subject.values == "none":
        return ()
    found = []
    if evidence.nominal_draws:
        draws, seed = evidence.nominal_draws, evidence.seed
        found.append(nominal_scatter(request, counts, draws=draws, seed=seed))
    if evidence.resampling is not None:
        found.append(resampling_scatter(request, counts, evidence.resampling))
    return tuple(found)


def check_feasible(outline: Outline, options: PlanOptions) -> bool:
    """Refuse, before any weight is read, what no alphas could make a plan of.

    Returns whether the method needs alphas. Raises like make_plan.
    """
    method = method_named(options.method)
    method.parse(options.parameters)
    if method.needs_values:
        if options.budget_kind == "parameters" and not method.any_budget:
            check_parameters(method, None)
        make_plan(outline, replace(options, method="uniform", parameters={}))
    return method.needs_values


def _provenance(given: Given) -> PlanProvenance:
    own = tailora_version()
    created = datetime.now(UTC).isoformat(timespec="seconds")
    if not isinstance(given, Analysis):
        return PlanProvenance(tailora=own, created_at=created, verified=None)
    made = given.provenance
    return PlanProvenance(
        tailora=own,
        created_at=created,
        verified=made.verified,
        device=made.device,
        threads=made.threads,
        precision=given.settings.precision,
        solver=given.settings.solver,
        torch=made.torch,
        seconds=made.seconds,
        bytes_read=made.bytes_read,
    )
