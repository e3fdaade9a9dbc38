"""compressed-tensors' pack-quantized: integers packed into words of 32 bits, lowest bits first.

weight_packed [out, ⌈in · bits / 32⌉] holds q + 2^(bits − 1), weight_scale [out, groups] (or one a
channel or tensor), weight_zero_point the zeros, packed alike but along the outputs, weight_shape
the two sizes, weight_g_idx [in] the group of each input; w = scale · (q − zero).

https://github.com/vllm-project/compressed-tensors (pack_quantized)
"""

from analyzer.header import FLOATS, TensorInfo
from analyzer.packing.checkpoint import (
    CannotUnpack,
    Checkpoint,
    PackedWeight,
    Parameters,
    check_dtype,
    check_shape,
    positive,
)

_BITS = (2, 4, 8)


def compressed_packed(checkpoint: Checkpoint, info: TensorInfo) -> PackedWeight | None:
    """The weight behind compressed-tensors' weight_packed of whole numbers."""
    module = info.name.removesuffix(".weight_packed")
    if module == info.name or info.dtype != "I32":
        return None
    scale = checkpoint.need(f"{module}.weight_scale")
    check_dtype(scale, *FLOATS)
    shape = _grouped_shape(checkpoint, info, scale) or _stated_shape(checkpoint, module)
    outputs, inputs = shape
    check_shape(scale, (1,), (outputs,), (outputs, *scale.shape[1:2]))
    groups = scale.shape[1] if len(scale.shape) == 2 else 1
    stated = _stated_numbers(checkpoint, "num_bits")
    fitting = [
        bits
        for bits in _BITS
        if info.shape == (outputs, -(-inputs * bits // 32)) and (not stated or bits in stated)
    ]
    if len(fitting) != 1:
        raise CannotUnpack(f"{info.name} is {list(info.shape)} for {list(shape)}: unclear bits")
    bits = fitting[0]
    roles = {"weight": info.name, "scale": scale.name, "shape": f"{module}.weight_shape"}
    index = checkpoint.get(f"{module}.weight_g_idx")
    if index is not None:
        check_dtype(index, "I32", "I64")
        check_shape(index, (inputs,))
        roles["g_idx"] = index.name
    zero = checkpoint.get(f"{module}.weight_zero_point")
    if zero is not None:  # packed along the outputs; a byte each until April 2025
        check_dtype(zero, "I32", "I8")
        packed = -(-outputs * bits // 32), groups
        check_shape(zero, packed if zero.dtype == "I32" else scale.shape)
        roles["zero"] = zero.name
    size = _scheme_group(checkpoint, inputs, groups)
    parameters: Parameters = {"bits": bits, "shape": shape, "group_size": size}
    return checkpoint.weight(f"{module}.weight", shape, "compressed_packed", roles, parameters)


def _grouped_shape(
    checkpoint: Checkpoint, info: TensorInfo, scale: TensorInfo
) -> tuple[int, int] | None:
    """The shape where groups that the config states fill it, which spares reading a tensor."""
    checkpoint.need(info.name.removesuffix("packed") + "shape")
    sizes, bits = (_stated_numbers(checkpoint, key) for key in ("group_size", "num_bits"))
    if len(sizes) != 1 or len(bits) != 1 or len(scale.shape) != 2 or scale.shape[1] < 2:
        return None
    inputs = scale.shape[1] * max(sizes)
    filled = inputs * max(bits) == info.shape[-1] * 32 and info.shape[:1] == scale.shape[:1]
    return (scale.shape[0], inputs) if filled else None


def _stated_shape(checkpoint: Checkpoint, module: str) -> tuple[int, int]:
    """The two whole numbers of a weight_shape."""
    name = f"{module}.weight_shape"
    info = checkpoint.need(name)
    check_dtype(info, "I64", "I32")
    check_shape(info, (2,))
    raw = checkpoint.content(name)
    half = len(raw) // 2
    rows, columns = (
        int.from_bytes(part, "little", signed=True) for part in (raw[:half], raw[half:])
    )
    if not (0 < rows < 2**31 and 0 < columns < 2**31):
        raise CannotUnpack(f"{name} says {rows} × {columns}, which is no matrix")
    return rows, columns


def _stated_numbers(checkpoint: Checkpoint, key: str) -> set[int]:
    """The positive numbers that compressed-tensors' groups state under a key."""
    return {number for scheme in checkpoint.schemes if (number := positive(scheme.get(key)))}


def _scheme_group(checkpoint: Checkpoint, inputs: int, groups: int) -> int:
    stated = _stated_numbers(checkpoint, "group_size")
    fitting = {size for size in stated if -(-inputs // size) == groups}
    if groups and inputs % groups == 0:
        fitting = fitting or {inputs // groups}
    if len(fitting) != 1:
        raise CannotUnpack(f"{groups} groups do not divide {inputs} inputs")
    return fitting.pop()
