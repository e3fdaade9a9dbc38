"""The analysis: what was found in each matrix, and the value of each layer."""

from collections.abc import Iterable, Sequence
from math import hypot
from operator import mul
from typing import Literal

from pydantic import Field

from analyzer.aspect import Aspect, check_aspect, corrected
from analyzer.distributions import LikelihoodRatio
from analyzer.errors import BadModel, InvalidOption
from analyzer.measures import Measures
from analyzer.outline import Document, Kind, Matrix, Record, Scope, Skipped, Stack, blocks_of
from analyzer.sampling import Windows
from analyzer.spectrum import Precision, Solver
from analyzer.tails import Fit, estimator_named

Weighting = Literal["equal", "parameters"]
WEIGHTINGS: tuple[Weighting, ...] = ("equal", "parameters")


class MatrixResult(Matrix):
    """A matrix with what its spectrum gave."""

    precision: Precision = Field(description="of the arithmetic behind the eigenvalues")
    tensor_sha256: str = Field(description="of the bytes that were read for it")
    fits: dict[str, Fit] = Field(
        description="by estimator; alphas before any correction by marchenko_pastur, and of pooled "
        "windows under subsample"
    )
    measures: Measures | None = Field(description="null under subsample")
    likelihood_ratios: tuple[LikelihoodRatio, ...] | None = Field(
        None, description="other distributions for the same tail, if asked for"
    )


class Value(Record):
    """The mean alpha of a group of matrices."""

    alpha: float
    nominal_standard_error: float | None = Field(description="for independent draws; see Fit")
    matrices: int = Field(description="matrices in the mean")
    left_out: tuple[str, ...] = Field((), description="matrices without a fit")


class LayerValue(Value):
    """The value of one block: the mean over its adaptable matrices."""

    stack: str
    layer: int


class Settings(Record):
    """What shaped the numbers."""

    estimator: str
    aspect: Aspect
    weighting: Weighting
    scope: Scope
    precision: Precision
    solver: Solver
    experts_per_layer: int | None = Field(None, description="size of the sample; null reads all")
    windows: Windows | None = Field(None, description="what aspect subsample measured")
    rounded: bool = Field(False, description="weights were rounded to bfloat16 first")


class Provenance(Record):
    """Where, when and by what the numbers were made; outside every digest."""

    tailora: str
    torch: str | None = None
    numerics: int
    device: str
    threads: int
    verified: bool = Field(description="the bytes read belong to files with the given sha256")
    bytes_read: dict[str, int] = Field(description="by origin: local, hub_cache or hub")
    spectra_reused: int
    spectra_solved: int
    started_at: str
    seconds: float


class Base(Record):
    """The checkpoint that was subtracted."""

    model: str
    revision: str | None
    weights: tuple[str, ...]


class ExpertsValue(Record):
    """The experts of one block of a MoE base: a mean over experts of the means of their matrices.

    They enter no block value.
    """

    stack: str
    layer: int
    experts: int = Field(description="experts that the block has")
    sampled: int = Field(description="experts that were read and have a fit")
    alpha: float | None
    sampling_error: float | None = Field(
        description="standard error of the mean for the experts that were not read: "
        "s/√m · √(1 − m/M); 0 where all were read, null where fewer than two were"
    )


class Analysis(Document):
    """What was measured in a model. `tailora.analysis/1`."""

    schema_id: Literal["tailora.analysis/1"] = Field("tailora.analysis/1", alias="schema")
    kind: Kind = Field("model", description="spectra of weights, LoRA updates or differences")
    model: str
    revision: str | None
    model_type: str | None
    weights: tuple[str, ...] = Field(description="sorted sha256 of the checkpoint's files")
    settings: Settings
    stacks: tuple[Stack, ...]
    base: Base | None = Field(None, description="what was subtracted, in a difference")
    layers: tuple[LayerValue, ...]
    experts: tuple[ExpertsValue, ...] = ()
    matrices: tuple[MatrixResult, ...]
    skipped: tuple[Skipped, ...]
    warnings: tuple[str, ...]
    provenance: Provenance


def check_weighting(weighting: str) -> None:
    """Raise InvalidOption unless the weighting exists."""
    if weighting not in WEIGHTINGS:
        raise InvalidOption(f"weighting {weighting} is unknown; use {' or '.join(WEIGHTINGS)}")


def block_values(
    matrices: Iterable[MatrixResult],
    *,
    estimator: str = "hill",
    aspect: Aspect = "none",
    weighting: Weighting = "equal",
    skip_unfit: bool = False,
) -> list[LayerValue]:
    """The value of each block, in the matrices' order; only adaptable matrices count.

    Raises BadModel where no matrix of a block has a fit (unless such blocks are to be skipped),
    InvalidOption where an option is unknown or the estimator was not run.
    """
    blocks = blocks_of(matrix for matrix in matrices if matrix.role == "adaptable")
    values = []
    for (stack, layer), block in blocks.items():
        if skip_unfit and all(_fit(matrix, estimator).alpha is None for matrix in block):
            continue
        value = mean_value(block, f"layer {layer} of {stack}", estimator, aspect, weighting)
        values.append(LayerValue(stack=stack, layer=layer, **value.model_dump()))
    return values


def mean_value(
    group: Sequence[MatrixResult],
    name: str,
    estimator: str,
    aspect: Aspect = "none",
    weighting: Weighting = "equal",
) -> Value:
    """The mean alpha of a group of matrices called `name`, over those whose fit held.

    Weights are equal or the matrices' sizes. Raises like block_values.
    """
    estimator_named(estimator)
    check_aspect(aspect, estimator)
    check_weighting(weighting)
    fits = [(matrix, corrected(_fit(matrix, estimator), matrix.shape, aspect)) for matrix in group]
    alphas = [fit.alpha for _, fit in fits if fit.alpha is not None]
    errors = [fit.nominal_standard_error for _, fit in fits if fit.alpha is not None]
    weights = weights_of([matrix for matrix, fit in fits if fit.alpha is not None], weighting)
    if not alphas:
        reasons = ", ".join(sorted({fit.status for _, fit in fits}))
        larger = "larger windows (--sample-rows), " if aspect == "subsample" else ""
        raise BadModel(
            f"no matrix of {name} has a fit by {estimator} ({reasons}); try {larger}"
            "another estimator, or a method that needs no alphas: uniform or mola"
        )
    total = sum(weights)
    known = [error for error in errors if error is not None]
    return Value(
        alpha=sum(map(mul, weights, alphas)) / total,
        nominal_standard_error=(
            hypot(*map(mul, weights, known)) / total if len(known) == len(errors) else None
        ),
        matrices=len(alphas),
        left_out=tuple(matrix.name for matrix, fit in fits if fit.alpha is None),
    )


def weights_of(matrices: Iterable[Matrix], weighting: Weighting) -> list[int]:
    """The weight of each matrix in a mean: 1, or its number of parameters."""
    return [1 if weighting == "equal" else mul(*matrix.shape) for matrix in matrices]


def _fit(matrix: MatrixResult, estimator: str) -> Fit:
    fit = matrix.fits.get(estimator)
    if fit is None or fit.status == "needs_float64":
        raise InvalidOption(
            f"the analysis holds no {estimator} fits; analyse again with --estimator {estimator}"
        )
    return fit


def fit_warnings(matrices: Iterable[MatrixResult], estimator: str) -> list[str]:
    """One line for each adaptable matrix that no mean can use."""
    return [
        f"{matrix.name} is left out of the mean of layer {matrix.layer} of {matrix.stack}: "
        f"{fit.status}"
        for matrix in matrices
        if matrix.role == "adaptable" and (fit := matrix.fits.get(estimator)) and fit.status != "ok"
    ]
