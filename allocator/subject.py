"""What a plan is made for: an analysis, an outline, or bare scores, as layers with modules."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Any

from allocator.errors import InvalidRequest
from allocator.options import PlanOptions
from allocator.plan import Values
from analyzer.outline import (
    Matrix,
    Outline,
    Skipped,
    Stack,
    blocks_of,
    left_out,
    modules_of,
)
from analyzer.report import (
    Analysis,
    MatrixResult,
    Value,
    block_values,
    fit_warnings,
    mean_value,
)
from analyzer.selection import choose_stacks, keep_modules, select

Scores = Sequence[float]
BARE_STACK = "text"
"""The stack of layers that no model stands behind."""


@dataclass(frozen=True, slots=True)
class Target:
    """A module to adapt: suffix in the block, shape (out × in) where known, and its matrices.

    `value` is a score that was given for it; alphas come from the matrices.
    """

    name: str
    shape: tuple[int, int] | None = None
    matrices: tuple[str, ...] = ()
    value: float | None = None


@dataclass(frozen=True, slots=True)
class Layer:
    """One block to adapt, with its modules and, where known, its value."""

    stack: str
    layer: int
    modules: tuple[Target, ...]
    value: float | None = None
    error: float | None = None

    @property
    def matrices(self) -> tuple[str, ...]:
        """The matrices of all its modules."""
        return tuple(name for module in self.modules for name in module.matrices)


@dataclass(frozen=True, slots=True)
class Subject:
    """What a plan is made for."""

    layers: tuple[Layer, ...]
    values: Values
    stacks: tuple[Stack, ...] = ()
    skipped: tuple[Skipped, ...] = ()
    warnings: tuple[str, ...] = ()
    weights: tuple[str, ...] = ()
    model: str | None = None
    revision: str | None = None
    model_type: str | None = None
    matrices: tuple[MatrixResult, ...] = ()
    windows: dict[str, Any] | None = None
    rounded: bool = False

    def groups(self, options: PlanOptions) -> list[tuple[str, list[MatrixResult]]]:
        """The matrices behind each count, with a name: of every layer, or of every module."""
        by_name = {matrix.name: matrix for matrix in self.matrices}
        places = [
            (f"{what}layer {layer.layer} of {layer.stack}", names)
            for layer in self.layers
            for what, names in (
                [(f"{module.name} in ", module.matrices) for module in layer.modules]
                if options.per_module
                else [("", layer.matrices)]
            )
        ]
        return [(name, [by_name[each] for each in names]) for name, names in places]

    def slot_values(self, options: PlanOptions) -> list[Value]:
        """The value behind each count. Raises AnalyzerError."""
        return [
            mean_value(group, name, options.estimator, options.aspect, options.weighting)
            for name, group in self.groups(options)
        ]

    def alphas(self, options: PlanOptions) -> tuple[float, ...]:
        """The alpha (or score) behind each count. Raises AnalyzerError."""
        if self.values == "score":
            modules = (module for layer in self.layers for module in layer.modules)
            slots = modules if options.per_module else self.layers
            return tuple(slot.value for slot in slots if slot.value is not None)
        return tuple(value.alpha for value in self.slot_values(options))


Given = Analysis | Outline | Subject | Scores
"""What a plan can be made from."""


def subject_of(given: Given, options: PlanOptions, wants_values: bool) -> Subject:
    """The layers to adapt. Raises InvalidRequest, or AnalyzerError for stacks, modules and fits."""
    if isinstance(given, Subject):
        return given
    if isinstance(given, Analysis):
        return _from_analysis(given, options, wants_values)
    if isinstance(given, Outline):
        if wants_values:
            raise InvalidRequest(
                f"method {options.method} needs alphas; analyse the model first, "
                "or use uniform or mola"
            )
        return _from_outline(given, options)
    if isinstance(given, str | bytes) or not isinstance(given, Iterable):
        raise InvalidRequest(
            f"a plan is made from an analysis, an outline or a list of scores, not from {given!r}; "
            "call tailora.analyze first"
        )
    return _from_scores(list(given), options)


def _from_analysis(analysis: Analysis, options: PlanOptions, wants_values: bool) -> Subject:
    _check_kind(analysis)
    stacks = choose_stacks(analysis.model, analysis.stacks, options.stack)
    matrices = [
        matrix
        for matrix in analysis.matrices
        if matrix.role == "adaptable" and matrix.stack in stacks
    ]
    if options.modules:
        matrices = keep_modules(matrices, options.modules)
    layers = [_layer(*place, block) for place, block in blocks_of(matrices).items()]
    if wants_values:
        _check_aspect(analysis, options)
        values = block_values(
            matrices,
            estimator=options.estimator,
            aspect=options.aspect,
            weighting=options.weighting,
        )
        layers = [
            replace(layer, value=found.alpha, error=found.nominal_standard_error)
            for layer, found in zip(layers, values, strict=True)
        ]
    return Subject(
        layers=tuple(layers),
        values="alpha" if wants_values else "none",
        stacks=analysis.stacks,
        skipped=analysis.skipped,
        warnings=tuple(_warnings(analysis, matrices, options, wants_values)),
        weights=analysis.weights,
        model=analysis.model,
        revision=analysis.revision,
        model_type=analysis.model_type,
        matrices=tuple(matrices),
        windows=_windows(analysis) if wants_values else None,
        rounded=analysis.settings.rounded and wants_values,
    )


def _check_aspect(analysis: Analysis, options: PlanOptions) -> None:
    """Pooled windows and whole matrices are measured apart."""
    made, asked = analysis.settings.aspect, options.aspect
    if (made == "subsample") != (asked == "subsample"):
        raise InvalidRequest(
            f"the plan asks for aspect {asked}, but the analysis was made with {made}; "
            f"analyse again with --aspect {asked}"
        )


def _windows(analysis: Analysis) -> dict[str, Any] | None:
    windows = analysis.settings.windows
    return windows.model_dump(mode="json") if windows else None


def _warnings(
    analysis: Analysis, matrices: Sequence[MatrixResult], options: PlanOptions, by_alpha: bool
) -> list[str]:
    """The analysis's warnings, those on fits taken from this plan's estimator and matrices."""
    own = set(fit_warnings(analysis.matrices, analysis.settings.estimator))
    others = [warning for warning in analysis.warnings if warning not in own]
    if not by_alpha:
        return others
    rounded = ["alphas are of weights rounded to bfloat16"] * analysis.settings.rounded
    return [*others, *rounded, *fit_warnings(matrices, options.estimator)]


def _from_outline(outline: Outline, options: PlanOptions) -> Subject:
    _check_kind(outline)
    matrices = select(outline, scope="adaptable", stack=options.stack, modules=options.modules)
    return Subject(
        layers=tuple(_layer(*place, block) for place, block in blocks_of(matrices).items()),
        values="none",
        stacks=outline.stacks,
        skipped=left_out(outline, matrices),
        warnings=(*outline.warnings, *_unhashed(outline)),
        weights=outline.weights,
        model=outline.model,
        revision=outline.revision,
        model_type=outline.model_type,
    )


def _check_kind(given: Analysis | Outline) -> None:
    if given.kind == "adapter":
        raise InvalidRequest(
            f"{given.model[:200]} is a LoRA adapter; plan for the model that it belongs to"
        )


def _unhashed(outline: Outline) -> list[str]:
    if outline.weights:
        return []
    return ["the outline was made without hashes, so the digest does not name the weights"]


def _from_scores(scores: Scores, options: PlanOptions) -> Subject:
    if options.modules or options.per_module or options.stack:
        raise InvalidRequest(
            "scores say nothing of modules or stacks; plan from a model for --modules, "
            "--per-module and --stack"
        )
    for layer, score in enumerate(scores):
        if not isinstance(score, int | float):
            raise InvalidRequest(f"the score of layer {layer} is {score!r}, which is no number")
    if len(scores) == 0:
        raise InvalidRequest("the list of scores is empty; give one number for each layer")
    layers = tuple(Layer(BARE_STACK, layer, (), float(score)) for layer, score in enumerate(scores))
    return Subject(layers=layers, values="score")


def _layer(stack: str, layer: int, block: Sequence[Matrix]) -> Layer:
    modules = (Target(module.name, module.shape, module.matrices) for module in modules_of(block))
    return Layer(stack, layer, tuple(modules))
