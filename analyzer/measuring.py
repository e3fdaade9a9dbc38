"""What an analysis makes of each spectrum: fits, measures and likelihood ratios."""

from analyzer.distributions import LikelihoodRatio, compare_distributions
from analyzer.measures import measure
from analyzer.options import Options
from analyzer.outline import Matrix
from analyzer.report import MatrixResult
from analyzer.spectrum import Spectrum
from analyzer.store import SpectrumKey, SpectrumStore, StoredSpectrum
from analyzer.tails import ESTIMATORS, Fit, fit


class MatrixMeasurer:
    """Fits every estimator that the precision carries; fits of checked spectra are kept."""

    def __init__(self, options: Options, store: SpectrumStore) -> None:
        """Measure by `options`."""
        self._options = options
        self._store = store
        self._pooled = options.sampling.places is not None

    def measure(
        self, matrix: Matrix, key: SpectrumKey, stored: StoredSpectrum, *, checked: bool = False
    ) -> MatrixResult:
        """The result of one matrix."""
        spectrum = stored.spectrum
        fits = self._fits(key, spectrum, keep=checked)
        chosen = fits[self._options.estimator]
        return MatrixResult(
            **dict(matrix),
            precision=key.precision,
            tensor_sha256=stored.tensor_sha256,
            fits=fits,
            measures=None if self._pooled else measure(spectrum, matrix.shape, chosen.alpha),
            likelihood_ratios=self._likelihood_ratios(spectrum, chosen),
        )

    def keep(self, key: SpectrumKey, found: MatrixResult) -> None:
        """Keep fits whose file has been checked since."""
        self._store.put_fits(key, found.fits)

    def alpha(self, found: MatrixResult) -> float | None:
        """Alpha by the chosen estimator."""
        return found.fits[self._options.estimator].alpha

    def _fits(self, key: SpectrumKey, spectrum: Spectrum, *, keep: bool) -> dict[str, Fit]:
        fits, new = {}, {}
        for name, rule in ESTIMATORS.items():
            if rule.precision == "float32" or key.precision == "float64":
                found = self._store.get_fit(key, name) if keep else None
                if found is None:
                    found = new[name] = self._fit(spectrum, name)
                fits[name] = found
        if keep and new:
            self._store.put_fits(key, new)
        return fits

    def _fit(self, spectrum: Spectrum, name: str) -> Fit:
        """A fit of pooled windows has no standard error: windows overlap."""
        found = fit(spectrum, name)
        return found.model_copy(update={"nominal_standard_error": None}) if self._pooled else found

    def _likelihood_ratios(
        self, spectrum: Spectrum, chosen: Fit
    ) -> tuple[LikelihoodRatio, ...] | None:
        if not self._options.compare_distributions:
            return None
        return compare_distributions(spectrum, chosen)
