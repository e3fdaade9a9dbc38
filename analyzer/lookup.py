"""What the store has of a source's matrices, and what is left to read."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

from analyzer.options import Options
from analyzer.outline import Matrix
from analyzer.sampling import Sampling
from analyzer.source import Source
from analyzer.spectrum import NUMERICS_VERSION, Precision
from analyzer.store import SpectrumKey, SpectrumStore, StoredSpectrum
from analyzer.units import locations

Found = tuple[SpectrumKey, StoredSpectrum]


@dataclass(frozen=True, slots=True)
class Pending:
    """What is left to do: matrices to solve, files to read whole, and what these will confirm."""

    unread: tuple[Matrix, ...]
    whole: frozenset[str]
    provisional: tuple[Matrix, ...]
    """Solved, but from files that are still to be checked."""


class Lookup:
    """Keys and stored spectra of one source under one way of measuring."""

    def __init__(
        self,
        source: Source,
        options: Options,
        store: SpectrumStore,
        hashes: Mapping[str, str],
        sampling: Sampling,
    ) -> None:
        """Look in `store`; `hashes` holds the sha256 of the source's files."""
        self._source = source
        self._options = options
        self._store = store
        self._hashes = hashes
        self._sampling = sampling

    def key(self, matrix: Matrix, precision: Precision | None = None) -> SpectrumKey:
        """The key of a matrix's spectrum, by default in the precision of new ones."""
        others = sorted(self._hashes[file] for file in files_of(matrix) - {matrix.file})
        return SpectrumKey(
            file_sha256=self._hashes[matrix.file],
            matrix=matrix.name,
            view=matrix.view.model_dump_json(),
            precision=precision or self._options.solved_precision,
            solver=self._options.solver,
            numerics=NUMERICS_VERSION,
            sampling=self._sampling.name(matrix),
            packing=matrix.packing.recipe if matrix.packing else None,
            other_files=tuple(others),
        )

    def keys(self, matrix: Matrix) -> list[SpectrumKey]:
        """The keys that serve: a float64 spectrum does where float32 was enough."""
        wanted = self._options.solved_precision
        accepted: list[Precision] = [wanted]
        if self._options.precision == "auto" and wanted == "float32":
            accepted.append("float64")
        return [self.key(matrix, precision) for precision in accepted]

    def kept(self, matrix: Matrix) -> Found | None:
        """The stored spectrum of a matrix whose files were checked."""
        for key in self.keys(matrix):
            stored = self._store.get(key)
            if stored is not None:
                return key, stored
        return None

    def provisional(self, matrix: Matrix, whole: Collection[str]) -> Found | None:
        """The stored spectrum from unchecked files, where none of them is read `whole` anyway."""
        if files_of(matrix) & set(whole) or self.is_trusted(matrix):
            return None
        return self.unchecked(matrix)

    def unchecked(self, matrix: Matrix) -> Found | None:
        """The stored spectrum from unchecked files."""
        for key in self.keys(matrix):
            stored = self._store.get_unchecked(key)
            if stored is not None:
                return key, stored
        return None

    def is_trusted(self, matrix: Matrix) -> bool:
        """Whether what is read for a matrix needs no check any more."""
        return all(self._source.file(file).trusted for file in files_of(matrix))

    def to_check(self, wanted: Sequence[Matrix], missing: Sequence[Matrix]) -> set[str]:
        """The files to read whole: something in them is missing, and most of them is wanted.

        What is wanted counts, not what is missing, so that a run goes on as it began.
        """
        sizes: dict[str, int] = {}
        for matrix in wanted:
            sizes[matrix.file] = sizes.get(matrix.file, 0) + matrix.bytes
        if any(matrix.packing and matrix.packing.base for matrix in missing):
            return set()
        return {
            file
            for file in {file for matrix in missing for file in files_of(matrix)}
            if not self._source.file(file).trusted
            and self._options.reads_whole(sizes.get(file, 0) / self._source.file(file).size)
        }

    def pending(self, matrices: Sequence[Matrix]) -> Pending:
        """What is left of these matrices, for processes that divide the work."""
        missing = [matrix for matrix in matrices if self.kept(matrix) is None]
        whole = self.to_check(matrices, missing)
        solved = [m for m in missing if not self.is_trusted(m) and self.unchecked(m) is not None]
        names = {matrix.name for matrix in solved}
        return Pending(
            unread=tuple(matrix for matrix in missing if matrix.name not in names),
            whole=frozenset(whole),
            provisional=tuple(matrix for matrix in solved if files_of(matrix) & whole),
        )


def files_of(matrix: Matrix) -> set[str]:
    """The files that hold what a matrix is made of."""
    return {location.file for location in locations(matrix).values()}
