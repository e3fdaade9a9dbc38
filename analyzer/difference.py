"""The difference between two checkpoints of one shape, as a checkpoint of its own."""

from collections.abc import Iterable, Sequence

from analyzer.errors import BadModel, InvalidOption
from analyzer.outline import Location, Matrix, Outline, Packing
from analyzer.selection import check_readable
from analyzer.text import shown
from analyzer.units import PLAIN

BASE_FILE = "base:"
"""Before the names of the files of the checkpoint that is subtracted."""

PLAIN_FORMAT = "plain"

Place = tuple[str | None, int | None, str | None, str | None, int | None]


def difference(matrices: Sequence[Matrix], outline: Outline, base: Outline) -> list[Matrix]:
    """These matrices of `outline`, each less the one at its place in `base`.

    Raises InvalidOption unless both are models, UnsupportedFormat where the base cannot be
    dequantised, BadModel where it has no such matrix.
    """
    for given in (outline, base):
        if given.kind != "model":
            raise InvalidOption(
                f"{shown(given.model)} is a LoRA {given.kind}; --base compares two models"
            )
    check_readable(base)
    theirs = {_place(matrix): matrix for matrix in base.matrices}
    return [_subtracted(matrix, theirs.get(_place(matrix)), base.model) for matrix in matrices]


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
