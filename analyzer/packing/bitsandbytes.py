"""bitsandbytes: LLM.int8(), and NF4 and FP4 of 4 bits.

int8: w = weight · SCB / 127 with one SCB a row. 4 bits: two codes a byte, the higher bits first,
look up quant_map; every block of `blocksize` elements is multiplied by its absmax, which may
itself be quantised in blocks (nested) around an offset.

https://github.com/bitsandbytes-foundation/bitsandbytes (functional.QuantState)
"""

import math
from typing import Any

from analyzer.architecture import read_json
from analyzer.header import TensorInfo
from analyzer.packing.checkpoint import (
    MAX_SMALL_BYTES,
    CannotUnpack,
    Checkpoint,
    PackedWeight,
    Parameters,
    check_dtype,
    check_shape,
)

_BLOCK_SIZES = (32, 64, 128, 256, 512, 1024, 2048, 4096)
_STORAGE = ("U8", "I8", "BF16", "F16", "F32")


def bnb_int8(checkpoint: Checkpoint, info: TensorInfo) -> PackedWeight | None:
    """A weight of I8 [out, in] with SCB [out]."""
    module = info.name.removesuffix(".weight")
    scale = checkpoint.get(f"{module}.SCB")
    if scale is None or module == info.name:
        return None
    check_dtype(info, "I8")
    check_dtype(scale, "F32", "F16", "BF16")
    if len(info.shape) != 2:
        raise CannotUnpack(f"{info.name} is {list(info.shape)}, not a matrix")
    check_shape(scale, info.shape[:1])
    order = checkpoint.get(f"{module}.weight_format")
    if order is not None and any(checkpoint.content(order.name)):
        raise CannotUnpack(f"{order.name} says that the rows are reordered for a GPU")
    roles = {"weight": info.name, "scale": scale.name}
    return checkpoint.weight(info.name, info.shape, "bnb_int8", roles, {})


def bnb_4bit(checkpoint: Checkpoint, info: TensorInfo) -> PackedWeight | None:
    """A weight of U8 [n / 2, 1] (any dtype may hold the bytes) with its quant_state."""
    if not info.name.endswith(".weight") or checkpoint.get(f"{info.name}.absmax") is None:
        return None
    kind, state = _state(checkpoint, info.name)
    check_dtype(info, *_STORAGE)
    shape = _shape(info, state)
    elements, block = math.prod(shape), _block_size(info.name, state, "blocksize")
    if info.nbytes != (elements + 1) // 2:
        raise CannotUnpack(f"{info.name} has {info.nbytes} bytes, not 4 bits for {list(shape)}")
    absmax, table = (checkpoint.need(f"{info.name}.{role}") for role in ("absmax", "quant_map"))
    check_shape(absmax, (-(-elements // block),))
    check_dtype(table, "F32")
    check_shape(table, (16,))
    roles = {"weight": info.name, "absmax": absmax.name, "quant_map": table.name}
    roles["quant_state"] = f"{info.name}.quant_state.bitsandbytes__{kind}"
    parameters: Parameters = {"quant_type": kind, "shape": shape, "block_size": block}
    nested = _nested(checkpoint, info.name, absmax, state)
    if nested:
        roles |= {role: f"{info.name}.{role}" for role in ("nested_absmax", "nested_quant_map")}
        parameters |= nested
    return checkpoint.weight(info.name, shape, "bnb_4bit", roles, parameters)


def _state(checkpoint: Checkpoint, name: str) -> tuple[str, dict[str, Any]]:
    """The kind of 4 bits and the JSON that says the rest. UnreadableFile where it is none."""
    for kind in ("nf4", "fp4"):
        found = checkpoint.get(f"{name}.quant_state.bitsandbytes__{kind}")
        if found is not None:
            check_dtype(found, "U8")
            state = read_json(checkpoint.content(found.name), found.name, MAX_SMALL_BYTES)
            if state.get("quant_type") != kind:
                raise CannotUnpack(f"{found.name} is not of the kind that its name says")
            return kind, state
    raise CannotUnpack(f"{name} has no quant_state of nf4 or fp4")


def _shape(info: TensorInfo, state: dict[str, Any]) -> tuple[int, int]:
    shape = state.get("shape")
    if (
        not isinstance(shape, list)
        or len(shape) != 2
        or any(type(size) is not int or not 0 < size < 2**31 for size in shape)
    ):
        raise CannotUnpack(f"{info.name}: the shape in its quant_state is not that of a matrix")
    return shape[0], shape[1]


def _block_size(name: str, state: dict[str, Any], key: str) -> int:
    size = state.get(key)
    if type(size) is not int or size not in _BLOCK_SIZES:
        raise CannotUnpack(f"{name}: {key} in its quant_state is none that bitsandbytes writes")
    return size


def _nested(
    checkpoint: Checkpoint, name: str, absmax: TensorInfo, state: dict[str, Any]
) -> dict[str, int | float]:
    """Parameters of an absmax that is quantised itself; empty where it is plain."""
    if checkpoint.get(f"{name}.nested_absmax") is None and "nested_blocksize" not in state:
        check_dtype(absmax, "F32", "F16", "BF16")
        return {}
    check_dtype(absmax, "U8")
    block = _block_size(name, state, "nested_blocksize")
    offset = state.get("nested_offset")
    if not isinstance(offset, int | float) or not abs(offset) < 1e30:
        raise CannotUnpack(f"{name}: nested_offset in its quant_state is not a finite number")
    maxima = checkpoint.need(f"{name}.nested_absmax")
    table = checkpoint.need(f"{name}.nested_quant_map")
    check_dtype(maxima, "F32")
    check_shape(maxima, (-(-absmax.shape[0] // block),))
    check_dtype(table, "F32")
    check_shape(table, (256,))
    return {"nested_block_size": block, "nested_offset": float(offset)}
