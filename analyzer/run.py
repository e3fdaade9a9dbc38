"""One pass over a source: what the store has first, then the rest as it is solved."""

from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Generic, Protocol, TypeVar

from analyzer.buffer import Buffer
from analyzer.errors import CorruptFile, InvalidOption
from analyzer.lookup import Lookup, files_of
from analyzer.options import Options
from analyzer.outline import Matrix
from analyzer.pipeline import Pipeline
from analyzer.report import Provenance
from analyzer.sampling import Sampling
from analyzer.source import Source
from analyzer.spectrum import NUMERICS_VERSION
from analyzer.store import SpectrumKey, SpectrumStore, StoredSpectrum
from analyzer.stream import Checked, Stream
from analyzer.units import units_of
from analyzer.version import tailora_version

if TYPE_CHECKING:
    from analyzer.solver import MatrixSolver


Measured = TypeVar("Measured")


class Measurer(Protocol[Measured]):
    """What is made of each spectrum."""

    def measure(
        self, matrix: Matrix, key: SpectrumKey, stored: StoredSpectrum, *, checked: bool = False
    ) -> Measured:
        """What one spectrum says; where its file is checked, it may be kept."""

    def keep(self, key: SpectrumKey, found: Measured) -> None:
        """Keep what was measured before its file was checked."""

    def alpha(self, found: Measured) -> float | None:
        """The exponent to show as progress."""


class Run(Generic[Measured]):
    """Measures the matrices of one source, and remembers what that took.

    A spectrum from a file that was not checked (yet) is kept apart in the store: a later run that
    reads the same bytes again need not solve them again.
    """

    def __init__(
        self,
        source: Source,
        options: Options,
        store: SpectrumStore,
        hashes: dict[str, str],
        measurer: Measurer[Measured],
        sampling: Sampling | None = None,
    ) -> None:
        """Solve by `options`; `hashes` holds the sha256 of the source's files.

        `sampling` is what of each weight is solved, where it is not what the options say.
        """
        self._source = source
        self._options = options
        self._sampling = sampling or options.sampling
        self._measurer = measurer
        self._store = store
        self._lookup = Lookup(source, options, store, hashes, self._sampling)
        self._solver: MatrixSolver | None = None
        self._unchecked: dict[str, _Unchecked[Measured]] = {}
        self._reused = 0
        self._solved = 0

    def results(self, matrices: Sequence[Matrix]) -> Iterator[tuple[Matrix, Measured]]:
        """The result of every matrix; stored ones come first.

        Raises AnalyzerError; after a CorruptFile nothing that was not checked is kept.
        """
        missing = []
        for matrix in matrices:
            kept = self._lookup.kept(matrix)
            if kept is None:
                missing.append(matrix)
            else:
                self._reused += 1
                yield matrix, self._result(matrix, *kept)
        whole = self._lookup.to_check(matrices, missing)
        unread = []
        for matrix in missing:
            found = self._lookup.provisional(matrix, whole)
            if found is None:
                unread.append(matrix)
            else:
                self._reused += 1
                yield matrix, self._note(matrix, *found)
        if unread:
            yield from self._solve(unread, whole)

    def warnings(self) -> list[str]:
        """What a reader of the numbers has to know."""
        if not self._unchecked:
            return []
        packings = [noted.matrix.packing for noted in self._unchecked.values()]
        why = (
            "because a difference is read pair by pair; fetch both checkpoints to have them checked"
            if any(packing and packing.base for packing in packings)
            else "because only a part of them was read; --verified reads them whole"
        )
        count = len(self._unchecked)
        return [f"{count} matrices come from files on the Hub that were not checked, {why}"]

    def provenance(self, started: datetime, seconds: float) -> Provenance:
        """Where, when and by what the numbers were made."""
        solver = self._solver
        return Provenance(
            tailora=tailora_version(),
            torch=solver.torch_version if solver else None,
            numerics=NUMERICS_VERSION,
            device=solver.device_name if solver else "none",
            threads=solver.threads if solver else 0,
            verified=not self._unchecked,
            bytes_read=dict(self._source.bytes_read),
            spectra_reused=self._reused,
            spectra_solved=self._solved,
            started_at=started.isoformat(timespec="seconds"),
            seconds=round(seconds, 3),
        )

    def _solve(
        self, unread: Sequence[Matrix], whole: Collection[str]
    ) -> Iterator[tuple[Matrix, Measured]]:
        """Solve what is not stored; torch is imported here, and only if there is such a thing."""
        self._solver = self._make_solver()
        buffer = Buffer(self._options.memory)
        stream = Stream(self._source, units_of(self._source, unread), whole=whole, buffer=buffer)
        try:
            for item in Pipeline(self._solver, buffer).run(stream):
                if isinstance(item, Checked):
                    self._checked(item.file)
                    continue
                key = self._lookup.key(item.matrix)
                trusted = self._lookup.is_trusted(item.matrix)
                if item.by != "store":
                    self._store.put(key, item.stored, self._source.model, checked=trusted)
                elif trusted:
                    self._store.confirm(key, item.stored.tensor_sha256)
                self._solved += item.by == "solver"
                self._reused += item.by != "solver"
                if trusted:
                    yield item.matrix, self._result(item.matrix, key, item.stored)
                else:
                    yield item.matrix, self._note(item.matrix, key, item.stored)
        except CorruptFile:
            for noted in self._unchecked.values():
                self._store.forget(noted.key)
            raise
        except BaseException:
            self._source.stop.set()  # so that no thread waits for a network that nobody needs
            raise

    def _make_solver(self) -> "MatrixSolver":
        try:
            from analyzer.solver import MatrixSolver
        except ImportError as error:
            raise InvalidOption(
                "reading weights needs torch; install it with `pip install 'tailora[analyze]'`"
            ) from error
        options = self._options

        def kept(matrix: Matrix, sha256: str) -> StoredSpectrum | None:
            stored = self._store.get_unchecked(self._lookup.key(matrix))
            return stored if stored is not None and stored.tensor_sha256 == sha256 else None

        return MatrixSolver(
            precision=options.solved_precision,
            solver=options.solver,
            device=options.device,
            memory=options.memory,
            sampling=self._sampling,
            kept=kept,
        )

    def _note(self, matrix: Matrix, key: SpectrumKey, stored: StoredSpectrum) -> Measured:
        """What is measured of a matrix whose files are not all checked yet; not kept."""
        found = self._measurer.measure(matrix, key, stored)
        open_files = {file for file in files_of(matrix) if not self._source.file(file).trusted}
        self._unchecked[matrix.name] = _Unchecked(
            matrix, key, stored.tensor_sha256, found, open_files
        )
        return found

    def _checked(self, file: str) -> None:
        """A file is what its commit names: keep for good what came from it."""
        whole = []
        for name, noted in list(self._unchecked.items()):
            noted.open_files.discard(file)
            if not noted.open_files:
                self._store.confirm(noted.key, noted.tensor_sha256)
                whole.append(noted)
                del self._unchecked[name]
        # Last, so that a run that is killed meanwhile has confirmed as much as possible.
        for noted in whole:
            self._measurer.keep(noted.key, noted.found)

    def _result(self, matrix: Matrix, key: SpectrumKey, stored: StoredSpectrum) -> Measured:
        return self._measurer.measure(matrix, key, stored, checked=True)


@dataclass(frozen=True, slots=True)
class _Unchecked(Generic[Measured]):
    """What was found in a matrix, and the files that it hangs on."""

    matrix: Matrix
    key: SpectrumKey
    tensor_sha256: str
    found: Measured
    open_files: set[str]
