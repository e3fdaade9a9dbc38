"""From the files that `tailora plot` is given to a figure."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from service.cli.failures import CommandError
from service.cli.planfile import plan_names, read_plan_file
from service.cli.plotfiles import read_analyses, read_compared, read_lines, run_name
from service.cli.plotremote import are_jobs, fetch_figure
from service.figures.catalogue import source_of
from service.figures.drawing import WIDTHS
from service.figures.errors import NothingToDraw
from service.figures.figure import Figure
from service.figures.palette import THEMES
from service.figures.rendering import FormatName, Rendering

if TYPE_CHECKING:
    from analyzer.report import Analysis, MatrixResult
    from analyzer.spectrum import Spectrum

MOST_BINS = 1000
_SUFFIXES: tuple[FormatName, ...] = ("svg", "png", "pdf", "csv", "json")


@dataclass(frozen=True, slots=True)
class Words:
    """What the figures are told; each takes what it knows."""

    matrix: str | None
    layer: int
    stack: str | None
    bins: int
    marchenko_pastur: bool
    model: str | None
    shapes: tuple[str, ...]
    step: int | None
    module: str | None
    device: str
    cache: Path | None
    quiet: bool


def rendering_of(out: Path, theme: str, width: str, echarts: bool) -> Rendering:
    """What a file's suffix and the options ask for. Raises CommandError."""
    suffix = out.suffix.lower().removeprefix(".")
    if suffix not in _SUFFIXES:
        raise CommandError(f"--out {out} has no suffix of a figure; use .{', .'.join(_SUFFIXES)}")
    if theme not in THEMES:
        raise CommandError(f"theme {theme} is unknown; use {' or '.join(THEMES)}")
    if width not in WIDTHS:
        raise CommandError(f"width {width} is unknown; use {' or '.join(WIDTHS)}")
    if echarts and suffix != "json":
        raise CommandError("--echarts is for a .json file; name one with --out")
    form: FormatName = "echarts" if echarts else suffix
    return Rendering(form, theme, width)


def make_figure(kind: str, sources: Sequence[str], words: Words) -> Figure:
    """The figure. Raises CommandError, FigureError, and what reading the documents raises."""
    most = {"plans": 2, "checkpoints": None}.get(kind, 1)
    if (most is not None and len(sources) > most) or (kind == "plans" and len(sources) < 2):
        need = "two plans" if kind == "plans" else "one source"
        raise CommandError(f"{kind} takes {need}, not {len(sources)}")
    if are_jobs(sources):
        return fetch_figure(kind, sources, words)
    return _MAKE[source_of(kind)](kind, sources, words)


def _of_plan(kind: str, sources: Sequence[str], words: Words) -> Figure:
    from service.figures.budgets import budgets
    from service.figures.experts import experts
    from service.figures.plans import plans, stability

    made = [read_plan_file(source) for source in sources]
    if kind == "plans":
        first, second = plan_names(sources)
        return plans(made[0], made[1], (Path(first).stem, Path(second).stem))
    if kind == "experts":
        return experts(made[0], shapes=words.shapes)
    return stability(made[0]) if kind == "stability" else budgets(made[0])


def _of_analysis(kind: str, sources: Sequence[str], words: Words) -> Figure:
    from analyzer.series import Series, series_of
    from service.figures.alphas import alphas
    from service.figures.checkpoints import checkpoints
    from service.figures.esd import esd, layer_esds, of_layer

    read = read_analyses(sources)
    if isinstance(read, Series):
        if kind != "checkpoints":
            raise CommandError(f"{sources[0]} is a series of checkpoints; {kind} takes an analysis")
        return checkpoints(read)
    if kind == "checkpoints":
        return checkpoints(series_of(read))
    (analysis,) = read
    if kind == "alphas":
        return alphas(analysis)
    if not 2 <= words.bins <= MOST_BINS:
        raise CommandError(f"--bins is {words.bins}; use 2 to {MOST_BINS}")
    if kind == "esds":
        matrices = of_layer(analysis, words.layer, words.stack)
        found = _spectra(analysis, matrices, words)
        return layer_esds(analysis, list(zip(matrices, found, strict=True)), bins=words.bins)
    matrix = _matrix(analysis, words.matrix)
    (spectrum,) = _spectra(analysis, [matrix], words)
    return esd(analysis, matrix, spectrum, bins=words.bins, marchenko_pastur=words.marchenko_pastur)


def _matrix(analysis: "Analysis", name: str | None) -> "MatrixResult":
    found = next((each for each in analysis.matrices if each.name == name), None)
    if found is None:
        some = ", ".join(each.name for each in analysis.matrices[:3])
        asked = "esd needs --matrix" if name is None else f"the analysis has no matrix {name}"
        raise NothingToDraw(f"{asked}; its {len(analysis.matrices)} matrices are {some} …")
    return found


def _spectra(
    analysis: "Analysis", matrices: "Sequence[MatrixResult]", words: Words
) -> "list[Spectrum]":
    from analyzer.store import FolderStore, default_folder
    from service.cli.progress import progress
    from service.figures.kept import spectra_of

    store = FolderStore(words.cache or default_folder())
    with progress(words.quiet) as report:
        return spectra_of(
            analysis, matrices, store, model=words.model, device=words.device, progress=report
        )


def _of_training(kind: str, sources: Sequence[str], words: Words) -> Figure:
    from service.figures.load import load
    from service.figures.training import training

    lines, title = read_lines(sources[0]), run_name(sources[0])
    if kind == "load":
        return load(lines, step=words.step, module=words.module, title=title)
    return training(lines, title=title)


def _of_comparison(kind: str, sources: Sequence[str], words: Words) -> Figure:
    from service.figures.comparison import comparison

    return comparison(read_compared(sources[0]))


_MAKE = {
    "plan": _of_plan,
    "analysis": _of_analysis,
    "training": _of_training,
    "comparison": _of_comparison,
}
