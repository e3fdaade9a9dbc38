"""Several checkpoints of one model side by side. `tailora.series/1`."""

from collections.abc import Iterable, Sequence
from typing import Literal

from pydantic import Field

from analyzer.errors import InvalidOption
from analyzer.outline import Document, Kind, Record
from analyzer.report import Analysis, Base, MatrixResult, Settings


class Checkpoint(Record):
    """One of the checkpoints."""

    model: str
    revision: str | None
    weights: tuple[str, ...]
    verified: bool


class LayerSeries(Record):
    """The value of a layer in every checkpoint."""

    stack: str
    layer: int
    alphas: tuple[float | None, ...]


class MatrixSeries(Record):
    """The exponent of a matrix in every checkpoint."""

    name: str
    stack: str | None
    layer: int | None
    module: str | None
    alphas: tuple[float | None, ...]
    statuses: tuple[str, ...] = Field(description="of the fits; `absent` where it is not there")


class Series(Document):
    """Exponents over checkpoints; their analyses are not repeated, only their alphas."""

    schema_id: Literal["tailora.series/1"] = Field("tailora.series/1", alias="schema")
    kind: Kind = "model"
    base: Base | None = Field(None, description="what was subtracted from every checkpoint")
    settings: Settings
    checkpoints: tuple[Checkpoint, ...]
    layers: tuple[LayerSeries, ...]
    matrices: tuple[MatrixSeries, ...]
    warnings: tuple[str, ...]


def series_of(analyses: Sequence[Analysis]) -> Series:
    """The series of analyses that were made with the same settings, in their order.

    Raises InvalidOption where there are none, or where they were measured in different ways.
    """
    if not analyses:
        raise InvalidOption("a series needs at least one analysis")
    settings = analyses[0].settings
    ways = [analysis.settings.model_dump(exclude={"precision"}) for analysis in analyses]
    if any(way != ways[0] for way in ways):
        raise InvalidOption("the analyses of a series must be made with the same settings")
    kinds = [(analysis.kind, analysis.base) for analysis in analyses]
    if any(kind != kinds[0] for kind in kinds):
        raise InvalidOption("a series holds models, adapters or differences from one base, not two")
    return Series(
        kind=kinds[0][0],
        base=kinds[0][1],
        settings=settings,
        checkpoints=tuple(
            Checkpoint(
                model=analysis.model,
                revision=analysis.revision,
                weights=analysis.weights,
                verified=analysis.provenance.verified,
            )
            for analysis in analyses
        ),
        layers=tuple(_layers(analyses)),
        matrices=tuple(_matrices(analyses, settings.estimator)),
        warnings=tuple(
            f"{analysis.model}: {warning}" for analysis in analyses for warning in analysis.warnings
        ),
    )


def _layers(analyses: Sequence[Analysis]) -> Iterable[LayerSeries]:
    values = [
        {(layer.stack, layer.layer): layer.alpha for layer in analysis.layers}
        for analysis in analyses
    ]
    for stack, layer in dict.fromkeys(place for found in values for place in found):
        alphas = tuple(found.get((stack, layer)) for found in values)
        yield LayerSeries(stack=stack, layer=layer, alphas=alphas)


def _matrices(analyses: Sequence[Analysis], estimator: str) -> Iterable[MatrixSeries]:
    by_name = [{matrix.name: matrix for matrix in analysis.matrices} for analysis in analyses]
    first: dict[str, MatrixResult] = {}
    for matrices in by_name:
        first = {**matrices, **first}
    for name, matrix in first.items():
        fits = [found[name].fits[estimator] if name in found else None for found in by_name]
        yield MatrixSeries(
            name=name,
            stack=matrix.stack,
            layer=matrix.layer,
            module=matrix.module,
            alphas=tuple(fit.alpha if fit else None for fit in fits),
            statuses=tuple(fit.status if fit else "absent" for fit in fits),
        )
