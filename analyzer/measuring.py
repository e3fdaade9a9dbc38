"""What an analysis makes of each spectrum: fits, measures and comparisons."""

from analyzer.distributions import Comparison, compare_distributions
from analyzer.measures import measure
from analyzer.options import Options
from analyzer.outline import Matrix
from analyzer.report import MatrixResult
from analyzer.spectrum import Spectrum
from analyzer.store import SpectrumKey, SpectrumStore
from analyzer.tails import ESTIMATORS, Fit, fit


class MatrixMeasurer:
    """Fits every estimator that the precision carries; fits of checked spectra are kept."""

    def __init__(self, options: Options, store: SpectrumStore) -> None:
        """Measure by `options`."""
        self._options = options
        self._store = store

    def measure(
        self,
        matrix: Matrix,
        key: SpectrumKey,
        spectrum: Spectrum,
        tensor_sha256: str,
        *,
        checked: bool = False,
    ) -> MatrixResult:
        """The result of one matrix."""
        fits = self._fits(key, spectrum, keep=checked)
        chosen = fits[self._options.estimator]
        whole = spectrum.windows == 1
        return MatrixResult(
            **dict(matrix),
            precision=key.precision,
            tensor_sha256=tensor_sha256,
            fits=fits,
            measures=measure(spectrum, matrix.shape, chosen.alpha) if whole else None,
            comparisons=self._comparisons(spectrum, chosen),
        )

    def keep(self, key: SpectrumKey, found: MatrixResult) -> None:
        """Keep fits whose file has been checked since."""
        for estimator, fitted in found.fits.items():
            self._store.put_fit(key, estimator, fitted)

    def alpha(self, found: MatrixResult) -> float | None:
        """Alpha by the chosen estimator."""
        return found.fits[self._options.estimator].alpha

    def _fits(self, key: SpectrumKey, spectrum: Spectrum, *, keep: bool) -> dict[str, Fit]:
        fits = {}
        for name, rule in ESTIMATORS.items():
            if rule.precision == "float32" or key.precision == "float64":
                found = self._store.get_fit(key, name) if keep else None
                if found is None:
                    found = fit(spectrum, name)
                    if keep:
                        self._store.put_fit(key, name, found)
                fits[name] = found
        return fits

    def _comparisons(self, spectrum: Spectrum, chosen: Fit) -> tuple[Comparison, ...] | None:
        if not self._options.compare_distributions:
            return None
        return compare_distributions(spectrum, chosen)
