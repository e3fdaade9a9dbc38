"""Weights of 8 bits an element with scales: FP8 of every kind, and compressed-tensors' integers.

A weight of (rows, columns) has one scale for every block of rows and columns: one block for a
scale a tensor, a block of one row for a scale a channel, 128 × 128 for DeepSeek-V3. Every scale
multiplies, `weight_scale_inv` too.

https://huggingface.co/deepseek-ai/DeepSeek-V3/blob/main/README_WEIGHTS.md
https://huggingface.co/docs/transformers/quantization/fbgemm_fp8
https://github.com/vllm-project/compressed-tensors (naive_quantized)
"""

from collections.abc import Iterator

from analyzer.header import FLOATS, TensorInfo
from analyzer.packing.checkpoint import (
    SCALES,
    CannotUnpack,
    Checkpoint,
    PackedWeight,
    Parameters,
    check_dtype,
    check_shape,
    positive,
)

FP8 = ("F8_E4M3", "F8_E5M2")
_USUAL_BLOCK = (128, 128)
_NOT_WEIGHTS = ("scale", "scale_inv", "scale_2", "scales", "zero_point")


def fp8(checkpoint: Checkpoint, info: TensorInfo) -> PackedWeight | None:
    """A weight of FP8 elements (2-D, or 3-D with the expert first) and its scale."""
    if info.dtype not in FP8 or len(info.shape) not in (2, 3) or 0 in info.shape:
        return None
    if info.name.endswith(_NOT_WEIGHTS):
        return None
    _refuse(checkpoint, info.name, "_scale_2", "_zero_point", "_global_scale", ".absmax")
    scales = [info.name + end for end in SCALES if checkpoint.get(info.name + end)]
    if len(scales) > 1:
        raise CannotUnpack(f"{info.name} has two scales")
    if not scales:
        if checkpoint.method is not None or checkpoint.has_scales:
            raise CannotUnpack(f"{info.name} is {info.dtype} and has no scale")
        return checkpoint.weight(
            info.name, info.shape, "fp8", {"weight": info.name}, {}, as_stored=True
        )
    scale = checkpoint.need(scales[0])
    check_dtype(scale, *FLOATS, "F8_E8M0", "U8")
    roles = {"weight": info.name, "scale": scale.name}
    parameters: Parameters = {"block": _block(checkpoint, info, scale)}
    return checkpoint.weight(info.name, info.shape, "fp8", roles, parameters, as_stored=True)


def compressed_int(checkpoint: Checkpoint, info: TensorInfo) -> PackedWeight | None:
    """A weight of whole 8-bit integers with scales, and zero points where it is asymmetric."""
    scale = checkpoint.get(f"{info.name}_scale")
    if info.dtype != "I8" or not info.name.endswith(".weight") or scale is None:
        return None
    if checkpoint.method not in (None, "compressed-tensors") or len(info.shape) != 2:
        return None
    _refuse(checkpoint, info.name, "_scale_2", "_scale_inv", "_global_scale")
    check_dtype(scale, *FLOATS)
    roles = {"weight": info.name, "scale": scale.name}
    groups = checkpoint.get(f"{info.name}_g_idx")
    if groups is not None:
        check_dtype(groups, "I32", "I64")
        check_shape(groups, info.shape[1:])
        roles["g_idx"] = groups.name
    zero = checkpoint.get(f"{info.name}_zero_point")
    if zero is not None:
        check_dtype(zero, "I8")
        check_shape(zero, scale.shape)
        roles["zero"] = zero.name
    parameters: Parameters = {"block": _block(checkpoint, info, scale)}
    return checkpoint.weight(
        info.name, info.shape, "compressed_int", roles, parameters, as_stored=True
    )


def _refuse(checkpoint: Checkpoint, name: str, *ends: str) -> None:
    for end in ends:
        if checkpoint.get(name + end):
            raise CannotUnpack(f"{name + end} belongs to a variant that is not supported")


def _block(checkpoint: Checkpoint, info: TensorInfo, scale: TensorInfo) -> tuple[int, int]:
    """Rows and columns of the block that one scale is for."""
    *experts, rows, columns = info.shape
    shape = scale.shape
    if experts:
        if shape[:1] != info.shape[:1]:
            raise CannotUnpack(f"{scale.name} has no scale for each of the {experts[0]} experts")
        shape = shape[1:]
    elif len(shape) == 1 and shape[0] == rows:
        shape = rows, 1
    count = 1
    for size in shape:
        count *= size
    if count == 1:
        return rows, columns
    if len(shape) == 2:
        fitting = set(_candidates(checkpoint, (rows, columns), (shape[0], shape[1])))
        if len(fitting) == 1:
            return fitting.pop()
    raise CannotUnpack(
        f"{scale.name} is {list(scale.shape)}, which cuts {list(info.shape)} into no known blocks"
    )


def _candidates(
    checkpoint: Checkpoint, shape: tuple[int, int], grid: tuple[int, int]
) -> Iterator[tuple[int, int]]:
    """The blocks that cut `shape` into `grid`, among those declared; else the usual ones."""
    declared = [
        block for block in _declared_blocks(checkpoint, shape) if _grid(shape, block) == grid
    ]
    if declared:
        yield from declared
    elif checkpoint.config.get("weight_block_size") is None and _grid(shape, _USUAL_BLOCK) == grid:
        yield _USUAL_BLOCK
    elif grid[0] in (1, shape[0]) and shape[1] % grid[1] == 0:
        # Rows are cut for certain, and a scale a channel or group always divides the columns.
        yield shape[0] // grid[0], shape[1] // grid[1]


def _declared_blocks(checkpoint: Checkpoint, shape: tuple[int, int]) -> Iterator[tuple[int, int]]:
    blocks = [checkpoint.config.get("weight_block_size")]
    for scheme in checkpoint.schemes:
        blocks.append(scheme.get("block_structure"))
        if group := positive(scheme.get("group_size")):
            yield 1, group
    for block in blocks:
        if isinstance(block, list) and len(block) == 2:
            rows, columns = positive(block[0]), positive(block[1])
            if rows and columns:
                yield min(rows, shape[0]), min(columns, shape[1])


def _grid(shape: tuple[int, int], block: tuple[int, int]) -> tuple[int, int]:
    return -(-shape[0] // block[0]), -(-shape[1] // block[1])
