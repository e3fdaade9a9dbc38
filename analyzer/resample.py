"""How far alpha moves with the rows and columns that a matrix happens to have.

Each matrix is measured again on random halves of its rows and columns, so on sub-matrices of its
own aspect ratio. With half of each side left out the scatter of these alphas stands for that of
the whole matrix without a factor (a delete-half jackknife of rows and columns). Eigenvalues of
every half repel each other as those of the matrix do, which the nominal error ignores.
"""

from collections.abc import Sequence

from pydantic import Field

from analyzer.errors import InvalidOption
from analyzer.options import Options
from analyzer.outline import Matrix, Outline, Record
from analyzer.progress import Report, measured, source_hashes
from analyzer.run import Run
from analyzer.sampling import Halves, Sampling
from analyzer.scan import outline as scan_outline
from analyzer.selection import select
from analyzer.source import Source
from analyzer.store import SpectrumKey, SpectrumStore, StoredSpectrum
from analyzer.tails import fit


class Resampled(Record):
    """The alphas of one matrix in every draw; null where a half has no fit."""

    name: str
    shape: tuple[int, int]
    alphas: tuple[float | None, ...]


class Resampling(Record):
    """The alphas of every matrix in every draw."""

    weights: tuple[str, ...] = Field(description="sorted sha256 of the checkpoint's files")
    estimator: str
    rounded: bool
    halves: Halves
    matrices: tuple[Resampled, ...]
    warnings: tuple[str, ...] = ()


def resample(
    source: Source,
    options: Options | None = None,
    *,
    store: SpectrumStore,
    halves: Halves | None = None,
    progress: Report | None = None,
    outline: Outline | None = None,
) -> Resampling:
    """Measure random halves of every adaptable matrix by the options' estimator.

    Spectra of halves are kept like others, so a second call solves nothing. Raises AnalyzerError.
    """
    options, halves = options or Options(), halves or Halves()
    halves.check()
    outline = outline or scan_outline(source)
    if outline.kind != "model" or options.aspect == "subsample":
        raise InvalidOption(
            "resampling draws halves of whole weights; use it on a model, not with an adapter or "
            "--aspect subsample"
        )
    chosen = select(outline, scope="adaptable", stack=options.stack, modules=options.modules)
    hashes = source_hashes(source, chosen, progress)
    measurer = _Draws(options.estimator)
    run = Run(source, options, store, hashes, measurer, Sampling(halves, options.rounded))
    matrices = measured(run, chosen, measurer, progress)
    return Resampling(
        weights=tuple(sorted(hashes[file] for file in outline.files)),
        estimator=options.estimator,
        rounded=options.rounded,
        halves=halves,
        matrices=matrices,
        warnings=tuple(run.warnings()),
    )


class _Draws:
    """Fits every half of a matrix; nothing but the spectra is worth keeping."""

    def __init__(self, estimator: str) -> None:
        self._estimator = estimator

    def measure(
        self, matrix: Matrix, key: SpectrumKey, stored: StoredSpectrum, *, checked: bool = False
    ) -> Resampled:
        alphas = (fit(half, self._estimator).alpha for half in stored.spectrum.each())
        return Resampled(name=matrix.name, shape=matrix.shape, alphas=tuple(alphas))

    def keep(self, key: SpectrumKey, found: Resampled) -> None:
        pass

    def alpha(self, found: Resampled) -> float | None:
        known: Sequence[float] = [alpha for alpha in found.alphas if alpha is not None]
        return sum(known) / len(known) if known else None
