"""Read the header of a safetensors file strictly, from bytes alone.

Format: https://github.com/huggingface/safetensors#format. The limits keep a hostile header from
costing more than a model could; a file that the format allows but no model needs is refused.
"""

from dataclasses import dataclass
from itertools import pairwise
from typing import Any

from analyzer import strict_json
from analyzer.errors import UnreadableFile

MAX_HEADER_BYTES = 25_000_000
MAX_TENSORS = 100_000
MAX_DIMENSIONS = 8
MAX_DIMENSION = 2**31
MAX_NAME = 512
MAX_TENSOR_BYTES = 64_000_000_000
MAX_VALUES = 16 * MAX_TENSORS
"""JSON values in a header: a tensor of eight dimensions is 14 of them."""

BITS = {
    **dict.fromkeys(("F4",), 4),
    **dict.fromkeys(("F6_E2M3", "F6_E3M2"), 6),
    **dict.fromkeys(("BOOL", "U8", "I8", "F8_E5M2", "F8_E4M3", "F8_E8M0"), 8),
    **dict.fromkeys(("F8_E4M3FNUZ", "F8_E5M2FNUZ"), 8),
    **dict.fromkeys(("U16", "I16", "F16", "BF16"), 16),
    **dict.fromkeys(("U32", "I32", "F32"), 32),
    **dict.fromkeys(("U64", "I64", "F64", "C64"), 64),
}


FLOATS = frozenset({"F64", "F32", "F16", "BF16"})
"""What a plain weight is stored in."""


@dataclass(frozen=True, slots=True)
class TensorInfo:
    """One tensor as its file's header describes it; `start` and `end` are offsets in the file."""

    name: str
    dtype: str
    shape: tuple[int, ...]
    start: int
    end: int

    @property
    def nbytes(self) -> int:
        """Bytes that the tensor takes in the file."""
        return self.end - self.start


def header_length(prefix: bytes, file_size: int, file: str) -> int:
    """Length in bytes of the JSON header, from the file's first eight bytes.

    Raises UnreadableFile where no header of that length can be in the file.
    """
    length = int.from_bytes(prefix, "little")
    if len(prefix) < 8 or length > file_size - 8:
        raise UnreadableFile(
            f"{file} is truncated or is not a safetensors file "
            f"({file_size} bytes in all); fetch it again"
        )
    if length > MAX_HEADER_BYTES:
        raise UnreadableFile(
            f"{file} has a header of {length} bytes, above the limit of {MAX_HEADER_BYTES}; "
            "no model needs that, check where the file comes from"
        )
    return length


def parse_header(header: bytes, file_size: int, file: str) -> tuple[TensorInfo, ...]:
    """The tensors of a file, in the order of their bytes.

    `header` is the JSON text without its eight bytes of length. Raises UnreadableFile for
    anything that contradicts the format, the file's size or the limits of this module.
    """
    try:
        if not header.startswith(b"{"):
            raise ValueError("the header is not a JSON object")
        entries = strict_json.parse(
            header, MAX_VALUES, pairs=_without_duplicates, constant=_no_constant
        )
        _check_metadata(entries.pop("__metadata__", {}))
        if len(entries) > MAX_TENSORS:
            raise ValueError(f"{len(entries)} tensors, above the limit of {MAX_TENSORS}")
        data_start = 8 + len(header)
        tensors = [_tensor(name, entries.pop(name), data_start) for name in list(entries)]
        tensors.sort(key=lambda tensor: (tensor.start, tensor.end))
        _check_layout(tensors, data_start, file_size)
    except (ValueError, KeyError, RecursionError) as error:
        raise UnreadableFile(
            f"{file} has a damaged header: {_one_line(error)}; fetch it again"
        ) from error
    return tuple(tensors)


def _without_duplicates(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    entries = dict(pairs)
    if len(entries) != len(pairs):
        raise ValueError("a name appears twice")
    return entries


def _no_constant(name: str) -> None:
    raise ValueError(f"{name} is no JSON")


def _check_metadata(metadata: Any) -> None:
    """Metadata maps text to text; a lone surrogate fails to encode."""
    if not isinstance(metadata, dict):
        raise ValueError("the metadata is not an object")
    for key, value in metadata.items():
        if not isinstance(value, str):
            raise ValueError("the metadata holds a value that is not text")
        key.encode(), value.encode()


def _tensor(name: str, entry: Any, data_start: int) -> TensorInfo:
    if not (1 <= len(name) <= MAX_NAME and name.isprintable()):
        raise ValueError(f"a tensor's name is empty, too long or not printable: {name[:64]!r}")
    if not isinstance(entry, dict):
        raise ValueError(f"{name} is not described by an object")
    dtype, shape, offsets = entry["dtype"], entry["shape"], entry["data_offsets"]
    if not isinstance(dtype, str) or dtype not in BITS:
        raise ValueError(f"{name} has the unknown dtype {str(dtype)[:32]!r}")
    if not (isinstance(shape, list) and isinstance(offsets, list) and len(offsets) == 2):
        raise ValueError(f"{name} has no list of dimensions or no two offsets")
    start, end = offsets
    numbers = [*shape, start, end]
    if any(type(number) is not int or number < 0 for number in numbers):
        raise ValueError(f"{name} has a shape or offset that is not a whole number")
    if len(shape) > MAX_DIMENSIONS or any(size >= MAX_DIMENSION for size in shape):
        raise ValueError(f"{name} has too many or too large dimensions")
    elements = 1
    for size in shape:
        elements *= size
    if elements * BITS[dtype] != (end - start) * 8:
        raise ValueError(
            f"{name} claims {dtype} {list(shape)}, which does not fit its {end - start} bytes"
        )
    if end - start > MAX_TENSOR_BYTES:
        raise ValueError(f"{name} takes {end - start} bytes, above the limit of {MAX_TENSOR_BYTES}")
    return TensorInfo(name, dtype, tuple(shape), data_start + start, data_start + end)


def _check_layout(tensors: list[TensorInfo], data_start: int, file_size: int) -> None:
    """The data must fill the file from the header to its end without hole or overlap."""
    first = tensors[0].start if tensors else data_start
    last = tensors[-1].end if tensors else data_start
    if last > file_size:
        raise ValueError(f"the data ends at byte {last}, but the file has only {file_size}")
    gap = any(before.end != after.start for before, after in pairwise(tensors))
    if first != data_start or last != file_size or gap:
        raise ValueError("the tensors do not fill the file without holes or overlaps")


def _one_line(error: Exception) -> str:
    if isinstance(error, KeyError):
        return f"a tensor has no field {error}"
    return " ".join(str(error).split())[:300]
