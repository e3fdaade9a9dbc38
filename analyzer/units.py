"""What one reading brings: the stored tensors behind a matrix, or all parts of a fused one."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby

from analyzer.errors import UnreadableFile
from analyzer.header import TensorInfo
from analyzer.outline import Location, Matrix, Packing
from analyzer.source import Source

PLAIN = "weight"
BASE = "base."
"""Before the roles of what is subtracted."""


@dataclass(frozen=True, slots=True)
class Piece:
    """The bytes of a stored tensor, or of one slice along its first dimension."""

    file: str
    start: int
    end: int
    dtype: str
    shape: tuple[int, ...]

    @property
    def nbytes(self) -> int:
        """Bytes in the file."""
        return self.end - self.start


@dataclass(frozen=True, slots=True)
class Unit:
    """Matrices that share a reading, and its pieces by role."""

    matrices: tuple[Matrix, ...]
    pieces: Mapping[str, Piece]

    @property
    def elements(self) -> int:
        """Numbers in all its matrices."""
        return sum(matrix.shape[0] * matrix.shape[1] for matrix in self.matrices)

    @property
    def place(self) -> tuple[str, int]:
        """File and offset of its main piece, by which units are ordered."""
        first = next(iter(self.pieces.values()))
        return first.file, first.start


def units_of(source: Source, matrices: Sequence[Matrix]) -> list[Unit]:
    """The readings that these matrices need, in the order of their bytes."""
    headers = {
        file: {info.name: info for info in source.tensors(file)}
        for file in {location.file for m in matrices for location in locations(m).values()}
    }
    units = []
    for _, group in groupby(matrices, _reading):
        together = tuple(group)
        first = together[0]
        pieces = {
            role: _piece(location.file, _info(headers, location), first.view.expert)
            for role, location in locations(first).items()
        }
        units.append(Unit(together, pieces))
    return sorted(units, key=lambda unit: unit.place)


def locations(matrix: Matrix) -> dict[str, Location]:
    """The stored tensors that a matrix needs, by role, the main one first."""
    if matrix.packing is None:
        return {PLAIN: Location(tensor=matrix.tensor, file=matrix.file)}
    return dict(_locations(matrix.packing, ""))


def _locations(packing: Packing, prefix: str) -> Iterator[tuple[str, Location]]:
    for role, location in packing.tensors.items():
        yield prefix + role, location
    if packing.base is not None:
        yield from _locations(packing.base, BASE + prefix)


def _reading(matrix: Matrix) -> tuple[str, str, int | None]:
    return matrix.file, matrix.tensor, matrix.view.expert


def _info(headers: Mapping[str, Mapping[str, TensorInfo]], location: Location) -> TensorInfo:
    found = headers[location.file].get(location.tensor)
    if found is None:
        raise UnreadableFile(f"{location.file} does not hold {location.tensor}; fetch it again")
    return found


def _piece(file: str, info: TensorInfo, expert: int | None) -> Piece:
    if expert is None:
        return Piece(file, info.start, info.end, info.dtype, info.shape)
    size = info.nbytes // info.shape[0]
    start = info.start + expert * size
    return Piece(file, start, start + size, info.dtype, info.shape[1:])
