"""The difference between two checkpoints of one shape, as a checkpoint of its own."""

from collections.abc import Iterable

from analyzer.errors import BadModel
from analyzer.outline import Location, Matrix, Outline, Packing
from analyzer.source import Source
from analyzer.text import shown
from analyzer.units import PLAIN

BASE_FILE = "base:"
"""Before the names of the files of the checkpoint that is subtracted."""

PLAIN_FORMAT = "plain"

Place = tuple[str | None, int | None, str | None, str | None, int | None]


def both(source: Source, base: Source) -> Source:
    """One source with the files of two."""
    files = {file: source.file(file) for file in source.files}
    files |= {BASE_FILE + file: base.file(file) for file in base.files}
    return Source(
        source.model,
        files,
        revision=source.revision,
        small=source.small,
        warnings=(*source.warnings, *base.warnings),
        stop=source.stop,
    )


def difference(outline: Outline, base: Outline) -> Outline:
    """The outline of what is left when every matrix of `base` is subtracted.

    Raises BadModel where the two do not have the same matrices.
    """
    theirs = {_place(matrix): matrix for matrix in base.matrices}
    return outline.model_copy(
        update={
            "kind": "difference",
            "matrices": tuple(
                _subtracted(matrix, theirs.get(_place(matrix)), base.model)
                for matrix in outline.matrices
            ),
            "unreadable": outline.unreadable or base.unreadable,
            "warnings": tuple(dict.fromkeys((*outline.warnings, *base.warnings))),
        }
    )


def _subtracted(matrix: Matrix, base: Matrix | None, model: str) -> Matrix:
    if base is None:
        raise BadModel(
            f"{shown(model)} has no {matrix.name}; --base wants a checkpoint of one shape"
        )
    if base.shape != matrix.shape or base.view != matrix.view:
        raise BadModel(
            f"{matrix.name} is {_words(matrix.shape)}, but {_words(base.shape)} in {shown(model)} "
            "(or stored in another way); --base wants a checkpoint of one shape"
        )
    packing = _packing(matrix, "").model_copy(update={"base": _packing(base, BASE_FILE)})
    return matrix.model_copy(update={"packing": packing, "bytes": matrix.bytes + base.bytes})


def _packing(matrix: Matrix, mark: str) -> Packing:
    """How one of the two is stored, its files marked."""
    packing = matrix.packing or Packing(
        format=PLAIN_FORMAT, tensors={PLAIN: Location(tensor=matrix.tensor, file=matrix.file)}
    )
    tensors = {
        role: Location(tensor=location.tensor, file=mark + location.file)
        for role, location in packing.tensors.items()
    }
    return packing.model_copy(update={"tensors": tensors})


def _place(matrix: Matrix) -> Place:
    """Where a matrix is, whatever its prefix; outside the blocks its name."""
    if matrix.stack is None:
        return None, None, matrix.tensor, None, None
    return matrix.stack, matrix.layer, matrix.module, matrix.part, matrix.expert


def _words(shape: Iterable[int]) -> str:
    return " × ".join(map(str, shape))
