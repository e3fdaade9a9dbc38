"""Floats of 4 bits (E2M1), two a byte and the lower first, with a scale for every group of inputs.

MXFP4 of gpt-oss: *_blocks U8 [experts, out, in / 32, 16] and *_scales U8 [experts, out, in / 32],
exponents of 2 with a bias of 127, out × in although the unpacked experts are stored transposed.
compressed-tensors: weight_packed U8 [out, in / 2] with weight_scale [out, groups]: for MXFP4
exponents, for NVFP4 F8_E4M3, divided by weight_global_scale.

https://www.opencompute.org/documents/ocp-microscaling-formats-mx-v1-0-spec-final-pdf
https://github.com/openai/gpt-oss, https://github.com/vllm-project/compressed-tensors (nvfp4)
"""

from analyzer.header import TensorInfo
from analyzer.packing.checkpoint import (
    CannotUnpack,
    Checkpoint,
    PackedWeight,
    check_dtype,
    check_shape,
)

_MX_GROUP = 32
_NV_GROUP = 16


def mxfp4(checkpoint: Checkpoint, info: TensorInfo) -> PackedWeight | None:
    """The experts behind a pair of *_blocks and *_scales."""
    name = info.name.removesuffix("_blocks")
    if name == info.name or info.dtype != "U8":
        return None
    scale = checkpoint.need(f"{name}_scales")
    check_dtype(scale, "U8")
    if len(info.shape) != 4 or info.shape[3] != _MX_GROUP // 2 or 0 in info.shape:
        raise CannotUnpack(f"{info.name} is {list(info.shape)}, not experts × out × groups × 16")
    check_shape(scale, info.shape[:3])
    experts, rows, groups, _ = info.shape
    roles = {"weight": info.name, "scale": scale.name}
    return checkpoint.weight(name, (experts, rows, groups * _MX_GROUP), "mxfp4", roles, {})


def compressed_fp4(checkpoint: Checkpoint, info: TensorInfo) -> PackedWeight | None:
    """The weight behind compressed-tensors' weight_packed of 4-bit floats."""
    module = info.name.removesuffix(".weight_packed")
    if module == info.name or info.dtype != "U8":
        return None
    if len(info.shape) != 2 or 0 in info.shape:
        raise CannotUnpack(f"{info.name} is {list(info.shape)}, not a matrix")
    if checkpoint.get(f"{module}.weight_zero_point"):
        raise CannotUnpack(f"{info.name} has zero points, which 4-bit floats do not")
    rows, columns = info.shape[0], info.shape[1] * 2
    scale = checkpoint.need(f"{module}.weight_scale")
    roles = {"weight": info.name, "scale": scale.name}
    whole = checkpoint.get(f"{module}.weight_global_scale")
    if whole is None:
        check_dtype(scale, "U8", "F8_E8M0")
        form, group = "compressed_mxfp4", _MX_GROUP
    else:
        check_dtype(scale, "F8_E4M3")
        check_dtype(whole, "F32")
        check_shape(whole, (1,), ())
        roles["global_scale"] = whole.name
        form, group = "compressed_nvfp4", _NV_GROUP
    if columns % group:
        raise CannotUnpack(f"{info.name} has {columns} inputs, not a multiple of {group}")
    check_shape(scale, (rows, columns // group))
    return checkpoint.weight(f"{module}.weight", (rows, columns), form, roles, {})
