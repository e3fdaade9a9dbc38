"""Alpha by layer: a point for each matrix, and the mean of every layer."""

from collections.abc import Iterable, Iterator, Sequence
from math import ceil, floor

from analyzer.aspect import corrected
from analyzer.report import Analysis, LayerValue, MatrixResult
from service.figures.errors import NothingToDraw
from service.figures.figure import Axis, Figure, Panel, Series
from service.figures.places import Place, depth, short_name

USUAL = (2.0, 6.0)
SOURCE = "Martin, Peng and Mahoney 2021"
"""Predicting trends in the quality of state-of-the-art neural networks without access to training
or testing data. Nature Communications 12, 4122.
"""


def alphas(analysis: Analysis) -> Figure:
    """Alphas by the analysis's estimator, coloured by module, with the mean of every layer.

    Alphas are corrected for shape where the analysis says so. Raises NothingToDraw where no matrix
    lies in a layer.
    """
    found = [each for each in analysis.matrices if each.layer is not None and each.stack]
    if not found:
        raise NothingToDraw("no matrix of the analysis lies in a layer, so there is no depth")
    axis, places = depth((each.stack or "", each.layer or 0) for each in found)
    settings = analysis.settings
    notes = []
    if settings.estimator != "ks":
        notes.append(f"{SOURCE} fit by ks; alphas by {settings.estimator} lie elsewhere")
    by_aspect = "" if settings.aspect == "none" else f", corrected by {settings.aspect}"
    band = Series(
        name=f"2 to 6, usual in trained models ({SOURCE})", kind="band", low=USUAL[:1],
        high=USUAL[1:], colour="muted",
    )  # fmt: skip
    values = [_alpha(analysis, each) for each in found]
    missing = [each for each, alpha in zip(found, values, strict=True) if alpha is None]
    if missing:
        notes.append(f"{len(missing)} of {len(found)} matrices have no fit")
    series = (
        band,
        *_by_module(zip(found, values, strict=True), places),
        *_without_fit(analysis, missing, [alpha for alpha in values if alpha is not None], places),
        *_means(analysis.layers, places),
    )
    return Figure(
        name="alphas",
        title=f"{short_name(analysis.model)}: alpha by layer",
        subtitle=f"by {settings.estimator}{by_aspect}; {len(found)} matrices, "
        f"{len(analysis.layers)} layers",
        panels=(Panel(x=axis, y=_axis(series), series=series),),
        notes=tuple(notes),
    )


def _axis(series: Sequence[Series]) -> Axis:
    """As high as the numbers, with a margin: the usual band may reach beyond."""
    drawn = [each for each in series if each.kind != "band"]
    own = [y for each in drawn for y in (*each.y, *each.low, *each.high) if y is not None]
    margin = 0.08 * (max(own) - min(own)) or 0.5
    low, high = floor(20 * (min(own) - margin)) / 20, ceil(20 * (max(own) + margin)) / 20
    return Axis(name="alpha", low=low, high=high)


def _alpha(analysis: Analysis, matrix: MatrixResult) -> float | None:
    settings = analysis.settings
    return corrected(matrix.fits[settings.estimator], matrix.shape, settings.aspect).alpha


def _by_module(
    found: Iterable[tuple[MatrixResult, float | None]], places: dict[Place, int]
) -> Iterator[Series]:
    modules: dict[str, list[tuple[MatrixResult, float]]] = {}
    for each, alpha in found:
        mine = modules.setdefault(_module(each), [])
        if alpha is not None:
            mine.append((each, alpha))
    for colour, (module, mine) in enumerate(modules.items()):
        yield Series(
            name=module,
            kind="points",
            x=tuple(_place(each, places) for each, _ in mine),
            y=tuple(alpha for _, alpha in mine),
            labels=tuple(each.name for each, _ in mine),
            colour=colour,
        )


def _without_fit(
    analysis: Analysis,
    missing: Sequence[MatrixResult],
    known: Sequence[float],
    places: dict[Place, int],
) -> Iterator[Series]:
    """Hollow marks in a row below all alphas."""
    if not missing:
        return
    below = min([*known, USUAL[0]]) - 0.25
    yield Series(
        name="no fit (drawn below)",
        kind="points",
        x=tuple(_place(each, places) for each in missing),
        y=(below,) * len(missing),
        labels=tuple(
            f"{each.name}: {each.fits[analysis.settings.estimator].status}" for each in missing
        ),
        hollow=True,
        placed=True,
    )


def _means(layers: Sequence[LayerValue], places: dict[Place, int]) -> Iterator[Series]:
    if not layers:
        return
    x = tuple(float(places[each.stack, each.layer]) for each in layers)
    means = tuple(each.alpha for each in layers)
    yield Series(name="mean of the layer", kind="line", x=x, y=means, thick=True)
    errors = [each.nominal_standard_error for each in layers]
    if all(error is not None for error in errors):
        spread = [error or 0.0 for error in errors]
        yield Series(
            name="± nominal standard error", kind="errors", x=x, y=means,
            low=tuple(mean - error for mean, error in zip(means, spread, strict=True)),
            high=tuple(mean + error for mean, error in zip(means, spread, strict=True)),
        )  # fmt: skip


def _module(matrix: MatrixResult) -> str:
    """Experts of a MoE base share a colour."""
    _, mark, part = matrix.name.partition("#")
    name = (matrix.module or matrix.role).replace(f"experts.{matrix.expert}.", "experts.*.")
    return f"{name}{mark}{part}" if matrix.part else name


def _place(matrix: MatrixResult, places: dict[Place, int]) -> float:
    return float(places[matrix.stack or "", matrix.layer or 0])
