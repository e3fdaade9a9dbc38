"""Make a plan."""

from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

from allocator.budget import check_parameters
from allocator.methods import method_named
from allocator.options import PlanOptions, options_from
from allocator.plan import Budget, Plan, PlanProvenance, digest_of
from allocator.request import PlanRequest, trainable_parameters
from allocator.subject import Given
from analyzer.outline import Outline
from analyzer.report import Analysis
from analyzer.version import tailora_version


def make_plan(given: Given, options: PlanOptions | None = None) -> Plan:
    """How many experts each layer (or module) gets.

    `given` is an analysis, an outline (for methods that need no alphas), or one score per layer.
    Raises AllocatorError for a request that no plan can meet, AnalyzerError where the analysis
    lacks what the plan needs.
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
        warnings=request.subject.warnings,
        stability=request.stability(allocation.counts),
        provenance=_provenance(given),
    )


def plan(given: Given, **words: Any) -> Plan:
    """make_plan in keywords: the fields of PlanOptions and the method's own parameters.

    `plan(analysis, budget=160, beta=3)`, `plan(outline, method="mola", shape="2468")`.
    """
    return make_plan(given, options_from(words))


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
