"""The eigenvalues behind an analysis document, on this machine: from the store, else solved."""

from collections.abc import Sequence

from analyzer.difference import BASE_FILE
from analyzer.errors import AnalyzerError
from analyzer.options import Options
from analyzer.outline import Matrix
from analyzer.progress import Report, measured, source_hashes
from analyzer.report import Analysis, MatrixResult
from analyzer.run import Run
from analyzer.sampling import FARMS_WINDOWS
from analyzer.source import Source, open_source
from analyzer.spectrum import Spectrum
from analyzer.store import SpectrumKey, SpectrumStore, StoredSpectrum
from service.figures.errors import NothingToDraw


class _Spectra:
    """A measurer that takes each spectrum as it is."""

    def measure(
        self, matrix: Matrix, key: SpectrumKey, stored: StoredSpectrum, *, checked: bool = False
    ) -> StoredSpectrum:
        return stored

    def keep(self, key: SpectrumKey, found: StoredSpectrum) -> None:
        """Nothing is made of it that could be kept."""

    def alpha(self, found: StoredSpectrum) -> None:
        return None


def spectra_of(
    analysis: Analysis,
    matrices: Sequence[MatrixResult],
    store: SpectrumStore,
    *,
    model: str | None = None,
    device: str = "auto",
    progress: Report | None = None,
) -> list[Spectrum]:
    """The eigenvalues of these matrices of an analysis, which its document does not hold.

    They are taken from the store; what is not there is solved from the weights of `model` (by
    default the analysis's own) and kept. Raises NothingToDraw where the weights are not there or
    are not those that were analysed, AnalyzerError where they cannot be read.
    """
    source = _opened(analysis, model, store)
    settings = analysis.settings
    options = Options(
        estimator=settings.estimator,
        aspect=settings.aspect,
        precision="auto" if settings.precision == "float32" else "float64",
        solver=settings.solver,
        rounded=settings.rounded,
        device=device,
        windows=settings.windows or FARMS_WINDOWS,
    )
    hashes = source_hashes(source, matrices, progress)
    if analysis.weights and not set(analysis.weights) & set(hashes.values()):
        raise NothingToDraw(
            f"{source.model} holds other weights than those of the analysis; analyse it again, or "
            "name the model that was analysed with --model"
        )
    measurer = _Spectra()
    found = measured(Run(source, options, store, hashes, measurer), matrices, measurer, progress)
    for matrix, stored in zip(matrices, found, strict=True):
        if stored.tensor_sha256 != matrix.tensor_sha256:
            raise NothingToDraw(
                f"the weights of {matrix.name} are not those of the analysis; analyse it again"
            )
    return [stored.spectrum for stored in found]


def _opened(analysis: Analysis, model: str | None, store: SpectrumStore) -> Source:
    own = f"{analysis.model}@{analysis.revision}" if analysis.revision else analysis.model
    try:
        source = open_source(model or own, store)
        if analysis.base is None:
            return source
        base = analysis.base
        name = f"{base.model}@{base.revision}" if base.revision else base.model
        return source.join(open_source(name, store), BASE_FILE)
    except AnalyzerError as error:
        raise NothingToDraw(
            "an analysis holds no eigenvalues; they are read from the weights, or from what is "
            f"kept of them, and neither can be found: {error}. Name the model with --model"
        ) from error
