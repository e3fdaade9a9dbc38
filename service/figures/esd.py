"""The empirical spectral density of one matrix with its fitted tail, and of all of a layer."""

from collections.abc import Sequence

from analyzer.density import log_density, tail_line
from analyzer.report import Analysis, MatrixResult
from analyzer.spectrum import Spectrum
from analyzer.tails import Fit
from service.figures.errors import NothingToDraw
from service.figures.figure import Axis, Figure, Panel, Series
from service.figures.marchenko_pastur import law_of
from service.figures.places import short_name

BINS = 100
MOST_BINS = 1000
_ROOM = 1.3
"""Beside the smallest and the largest eigenvalue, as a factor."""
Pair = tuple[MatrixResult, Spectrum]


def esd(
    analysis: Analysis,
    matrix: MatrixResult,
    spectrum: Spectrum,
    *,
    bins: int = BINS,
    marchenko_pastur: bool = False,
) -> Figure:
    """The density of one matrix on log axes, the tail by the analysis's estimator, and xmin.

    With `marchenko_pastur` also the density that independent entries of the same variance would
    have. Raises NothingToDraw where the matrix has no eigenvalue above rounding level.
    """
    fit = matrix.fits[analysis.settings.estimator]
    density = log_density(spectrum, bins)
    if not density.density.size:
        raise NothingToDraw(
            f"{matrix.name} has no eigenvalue to draw ({fit.status}); choose another matrix"
        )
    panel, notes = _panel(analysis, matrix, spectrum, bins, marchenko_pastur)
    if density.zeros:
        notes.append(f"{density.zeros} eigenvalues at rounding level are in no bin")
    return Figure(
        name="esd",
        title=f"{short_name(analysis.model)}: {matrix.name}",
        subtitle=described(fit, analysis.settings.estimator),
        panels=(panel,),
        notes=tuple(notes),
    )


def layer_esds(analysis: Analysis, pairs: Sequence[Pair], *, bins: int = BINS) -> Figure:
    """A panel for each matrix of a layer. Raises NothingToDraw where there is none."""
    if not pairs:
        raise NothingToDraw("the layer has no matrix; choose one that `tailora analyze` lists")
    panels, notes = [], []
    for matrix, spectrum in pairs:
        fit = matrix.fits[analysis.settings.estimator]
        panel, said = _panel(analysis, matrix, spectrum, bins, False)
        name = matrix.name if matrix.module is None else _part(matrix)
        value = f"alpha {fit.alpha:.2f}" if fit.alpha is not None else f"no fit: {fit.status}"
        panels.append(panel.model_copy(update={"title": f"{name}, {value}"}))
        notes += [f"{name}: {note}" for note in said]
    first = pairs[0][0]
    return Figure(
        name="esds",
        title=f"{short_name(analysis.model)}: layer {first.layer} of {first.stack}",
        subtitle=f"tails by {analysis.settings.estimator}",
        panels=tuple(panels),
        columns=min(2, len(panels)),
        notes=tuple(notes),
    )


def of_layer(analysis: Analysis, layer: int, stack: str | None = None) -> list[MatrixResult]:
    """The matrices of a layer (of the first stack where none is named), experts and routers left
    out where there are adapted ones.

    Raises NothingToDraw where there is no such layer.
    """
    found = [each for each in analysis.matrices if each.layer == layer]
    stacks = dict.fromkeys(each.stack for each in found)
    own = [each for each in found if each.stack == (stack or next(iter(stacks), None))]
    if not own:
        known = ", ".join(str(each.name) for each in analysis.stacks) or "none"
        raise NothingToDraw(
            f"the analysis has no layer {layer}{f' in stack {stack}' if stack else ''}; its stacks "
            f"are {known}, and layers count from 0"
        )
    return [each for each in own if each.role == "adaptable"] or own


def described(fit: Fit, estimator: str) -> str:
    """What a fit found, or why there is none."""
    if fit.alpha is None or fit.xmin is None:
        return f"no fit by {estimator}: {fit.status}"
    error = fit.nominal_standard_error
    spread = "" if error is None else f" ± {error:.3f} (nominal)"
    return (
        f"alpha {fit.alpha:.3f}{spread} by {estimator}, ks_distance {fit.ks_distance:.3f}, "
        f"xmin {fit.xmin:.3g}, tail {fit.tail}"
    )


def _panel(
    analysis: Analysis, matrix: MatrixResult, spectrum: Spectrum, bins: int, law: bool
) -> tuple[Panel, list[str]]:
    fit = matrix.fits[analysis.settings.estimator]
    density = log_density(spectrum, bins)
    heights = tuple(value or None for value in density.density.tolist())
    series = [
        Series(
            name="eigenvalues", kind="step", x=tuple(density.edges.tolist()), y=heights, colour=0
        )
    ]
    notes = []
    if law:
        curve = law_of(analysis, matrix, spectrum)
        if isinstance(curve, str):
            notes.append(curve)
        else:
            series.append(curve)
    line = tail_line(spectrum, fit)
    if line is None:
        notes.append(f"no fit: {fit.status}")
    else:
        (xmin, largest), y = line
        series += [
            Series(name="xmin", kind="rule", x=(xmin,), colour="muted"),
            Series(
                name=f"λ^−{fit.alpha:.2f}", kind="line", x=(xmin, largest), y=y, colour=3,
                dashed=True, thick=True,
            ),
        ]  # fmt: skip
    known = [value for value in (*heights, *(line[1] if line else ())) if value]
    edges = density.edges.tolist() or [1.0]
    return Panel(
        x=Axis(name="eigenvalue λ", scale="log", low=edges[0] / _ROOM, high=edges[-1] * _ROOM),
        y=Axis(
            name="density",
            unit="share per λ",
            scale="log",
            low=min(known, default=1.0) / 2,
            high=max(known, default=1.0) * 2,
        ),
        series=tuple(series),
    ), notes


def _part(matrix: MatrixResult) -> str:
    _, mark, part = matrix.name.partition("#")
    return f"{matrix.module}{mark}{part}"
