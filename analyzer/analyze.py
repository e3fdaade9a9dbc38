"""Measure a model: read, solve, fit and keep, one tensor at a time."""

import re
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from analyzer.aspect import Aspect, check_aspect
from analyzer.errors import InvalidOption
from analyzer.measures import measure
from analyzer.outline import Matrix, Outline, Scope, left_out
from analyzer.report import (
    Analysis,
    MatrixResult,
    Provenance,
    Settings,
    Weighting,
    block_values,
    check_weighting,
    fit_warnings,
)
from analyzer.scan import outline as scan_outline
from analyzer.selection import select
from analyzer.source import Source
from analyzer.spectrum import (
    NUMERICS_VERSION,
    PRECISIONS,
    SOLVERS,
    Precision,
    Solver,
    Spectrum,
)
from analyzer.store import SpectrumKey, SpectrumStore, StoredSpectrum
from analyzer.tails import ESTIMATORS, Fit, estimator_named, fit
from analyzer.version import tailora_version

if TYPE_CHECKING:
    from analyzer.solver import MatrixSolver


_DEVICE = re.compile(r"auto|cpu|cuda(:\d+)?")


@dataclass(frozen=True, slots=True)
class Progress:
    """How far an analysis is."""

    done: int
    total: int
    bytes_done: int
    bytes_total: int
    matrix: str
    alpha: float | None


@dataclass(frozen=True, slots=True)
class Options:
    """What to measure and how; checked when made. Raises InvalidOption."""

    estimator: str = "hill"
    aspect: Aspect = "none"
    weighting: Weighting = "equal"
    precision: str = "auto"
    solver: Solver = "gram"
    device: str = "auto"
    scope: Scope = "blocks"
    stack: str | None = None
    modules: str | Sequence[str] | None = None

    def __post_init__(self) -> None:
        """Refuse what cannot be before any byte is read."""
        rule = estimator_named(self.estimator)
        check_aspect(self.aspect, self.estimator)
        check_weighting(self.weighting)
        if self.precision not in ("auto", *PRECISIONS):
            raise InvalidOption(f"precision {self.precision} is unknown; use float32 or float64")
        if self.precision == "float32" and rule.precision == "float64":
            raise InvalidOption(
                f"estimator {self.estimator} jumps under float32 rounding and needs float64; "
                "drop --precision or use --precision float64"
            )
        if self.solver not in SOLVERS:
            raise InvalidOption(f"solver {self.solver} is unknown; use one of {', '.join(SOLVERS)}")
        if not _DEVICE.fullmatch(self.device):
            raise InvalidOption(f"device {self.device} is unknown; use auto, cpu, cuda or cuda:N")

    @property
    def solved_precision(self) -> Precision:
        """The precision of new spectra: what was asked for, else what the estimator needs."""
        if self.precision == "auto":
            return estimator_named(self.estimator).precision
        return "float64" if self.precision == "float64" else "float32"


def analyze(
    source: Source,
    options: Options | None = None,
    *,
    store: SpectrumStore,
    progress: Callable[[Progress], None] | None = None,
    outline: Outline | None = None,
) -> Analysis:
    """Measure a model; its outline is made where the caller has none yet.

    Spectra that the store holds are not read again; each new one is kept before the next is
    solved, so an interrupted analysis continues where it stopped. Every estimator that the
    precision carries is fitted. Raises AnalyzerError.
    """
    options = options or Options()
    clock, started = time.monotonic(), datetime.now(UTC)
    outline = outline or scan_outline(source)
    chosen = select(outline, scope=options.scope, stack=options.stack, modules=options.modules)
    bytes_done, bytes_total = 0, sum(matrix.bytes for matrix in chosen)
    hashes = {}
    for file in source.files:
        if progress is not None:
            progress(Progress(0, len(chosen), 0, bytes_total, f"checksum of {file}", None))
        hashes[file] = source.sha256(file)
    run = _Run(source, options, store, hashes)
    results = {}
    for matrix, result in run.results(chosen):
        results[matrix.name] = result
        bytes_done += matrix.bytes
        if progress is not None:
            alpha = result.fits[options.estimator].alpha
            progress(
                Progress(len(results), len(chosen), bytes_done, bytes_total, matrix.name, alpha)
            )
    matrices = tuple(results[matrix.name] for matrix in chosen)
    return Analysis(
        model=outline.model,
        revision=outline.revision,
        model_type=outline.model_type,
        weights=tuple(sorted(hashes.values())),
        settings=Settings(
            estimator=options.estimator,
            aspect=options.aspect,
            weighting=options.weighting,
            scope=options.scope,
            precision=_lowest_precision(matrices),
            solver=options.solver,
        ),
        stacks=outline.stacks,
        layers=tuple(
            block_values(
                matrices,
                estimator=options.estimator,
                aspect=options.aspect,
                weighting=options.weighting,
            )
        ),
        matrices=matrices,
        skipped=left_out(outline, chosen),
        warnings=(*outline.warnings, *fit_warnings(matrices, options.estimator)),
        provenance=run.provenance(started, time.monotonic() - clock),
    )


class _Run:
    """One pass over a source: what the store has first, then the rest as it is solved."""

    def __init__(
        self, source: Source, options: Options, store: SpectrumStore, hashes: dict[str, str]
    ) -> None:
        self._source = source
        self._options = options
        self._store = store
        self._hashes = hashes
        self._solver: MatrixSolver | None = None
        self._reused = 0
        self._solved = 0

    def results(self, matrices: Sequence[Matrix]) -> Iterator[tuple[Matrix, MatrixResult]]:
        """The result of every matrix; stored ones come first."""
        missing = []
        for matrix in matrices:
            kept = self._kept(matrix)
            if kept is None:
                missing.append(matrix)
            else:
                self._reused += 1
                yield matrix, self._result(matrix, *kept)
        for matrix, stored in self._solve(missing):
            key = self._key(matrix, self._options.solved_precision)
            self._store.put(key, stored, self._source.model)
            self._solved += 1
            yield matrix, self._result(matrix, key, stored)

    def provenance(self, started: datetime, seconds: float) -> Provenance:
        """Where, when and by what the numbers were made."""
        solver = self._solver
        return Provenance(
            tailora=tailora_version(),
            torch=solver.torch_version if solver else None,
            numerics=NUMERICS_VERSION,
            device=solver.device_name if solver else "none",
            threads=solver.threads if solver else 0,
            verified=True,
            bytes_read=solver.bytes_read if solver else 0,
            spectra_reused=self._reused,
            spectra_solved=self._solved,
            started_at=started.isoformat(timespec="seconds"),
            seconds=round(seconds, 3),
        )

    def _key(self, matrix: Matrix, precision: Precision) -> SpectrumKey:
        return SpectrumKey(
            file_sha256=self._hashes[matrix.file],
            matrix=matrix.name,
            view=matrix.view.model_dump_json(),
            precision=precision,
            solver=self._options.solver,
            numerics=NUMERICS_VERSION,
        )

    def _kept(self, matrix: Matrix) -> tuple[SpectrumKey, StoredSpectrum] | None:
        """The stored spectrum; a float64 one serves where float32 was enough."""
        wanted = self._options.solved_precision
        accepted: list[Precision] = [wanted]
        if self._options.precision == "auto" and wanted == "float32":
            accepted.append("float64")
        for precision in accepted:
            key = self._key(matrix, precision)
            stored = self._store.get(key)
            if stored is not None:
                return key, stored
        return None

    def _solve(self, missing: Sequence[Matrix]) -> Iterator[tuple[Matrix, StoredSpectrum]]:
        """Solve what is not stored; torch is imported here, and only if there is such a thing."""
        if not missing:
            return
        try:
            from analyzer.solver import MatrixSolver
        except ImportError as error:
            raise InvalidOption(
                "reading weights needs torch; install it with `pip install 'tailora[analyze]'`"
            ) from error
        options = self._options
        self._solver = MatrixSolver(
            self._source,
            precision=options.solved_precision,
            solver=options.solver,
            device=options.device,
        )
        yield from self._solver.solve(missing)

    def _result(self, matrix: Matrix, key: SpectrumKey, stored: StoredSpectrum) -> MatrixResult:
        fits = {
            name: self._fit(key, stored.spectrum, name)
            for name, rule in ESTIMATORS.items()
            if rule.precision == "float32" or key.precision == "float64"
        }
        alpha = fits[self._options.estimator].alpha
        return MatrixResult(
            **dict(matrix),
            precision=key.precision,
            tensor_sha256=stored.tensor_sha256,
            fits=fits,
            measures=measure(stored.spectrum, matrix.shape, alpha),
        )

    def _fit(self, key: SpectrumKey, spectrum: Spectrum, estimator: str) -> Fit:
        found = self._store.get_fit(key, estimator)
        if found is None:
            found = fit(spectrum, estimator)
            self._store.put_fit(key, estimator, found)
        return found


def _lowest_precision(matrices: Sequence[MatrixResult]) -> Precision:
    """Stored float64 spectra may serve where float32 was enough."""
    return "float32" if any(m.precision == "float32" for m in matrices) else "float64"
