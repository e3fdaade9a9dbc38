"""Integers packed into words of 32 bits, lowest bits first: GPTQ, AWQ and compressed-tensors.

GPTQ packs along the inputs: qweight [in · bits / 32, out], qzeros [groups, out · bits / 32],
scales [groups, out]; w = scale · (q − zero). `checkpoint_format: gptq` (the default) stores
zero − 1, gptq_v2 the zero itself. g_idx [in] names the group of each input (act-order).
AWQ packs along the outputs, eight of 4 bits a word in the order 0 2 4 6 1 3 5 7: qweight
[in, out / 8]. compressed-tensors: weight_packed [out, ⌈in · bits / 32⌉], signed.

https://github.com/ModelCloud/GPTQModel, https://github.com/casper-hansen/AutoAWQ,
https://github.com/vllm-project/compressed-tensors (pack_quantized)
"""

from collections.abc import Mapping
from typing import Any

from analyzer.header import TensorInfo
from analyzer.packing.checkpoint import (
    FLOATS,
    CannotUnpack,
    Checkpoint,
    PackedWeight,
    Parameters,
    check_dtype,
    check_shape,
    positive,
)

_GPTQ_BITS = (2, 3, 4, 8)
_COMPRESSED_BITS = (2, 4, 8)
_GPTQ_FORMATS = ("gptq", "gptq_v2")
_AWQ_VERSIONS = ("gemm", "exllama", "ipex")
_AWQ_BITS = 4


def gptq_or_awq(checkpoint: Checkpoint, info: TensorInfo) -> PackedWeight | None:
    """The weight behind a qweight; the width of its scales tells GPTQ from AWQ."""
    module = info.name.removesuffix(".qweight")
    if module == info.name or info.dtype != "I32" or len(info.shape) != 2:
        return None
    if checkpoint.method not in (None, "gptq", "awq"):
        return None
    zeros, scales = checkpoint.need(f"{module}.qzeros"), checkpoint.need(f"{module}.scales")
    check_dtype(zeros, "I32")
    check_dtype(scales, *FLOATS)
    if len(scales.shape) != 2 or 0 in (*scales.shape, *info.shape):
        raise CannotUnpack(f"{scales.name} is {list(scales.shape)}, not groups × outputs")
    roles = {"weight": info.name, "zero": zeros.name, "scale": scales.name}
    outputs = scales.shape[1]
    if info.shape[1] == outputs and checkpoint.method != "awq":
        return _gptq(checkpoint, module, roles)
    if info.shape[1] * 8 == outputs and checkpoint.method != "gptq":
        return _awq(checkpoint, module, roles)
    raise CannotUnpack(
        f"{info.name} is {list(info.shape)}, which fits {outputs} outputs neither as GPTQ nor as "
        f"AWQ of version gemm ({_stated(checkpoint)})"
    )


def _gptq(checkpoint: Checkpoint, module: str, roles: dict[str, str]) -> PackedWeight:
    weight, zeros, scales = (checkpoint.need(name) for name in roles.values())
    form = _first(checkpoint.config, "checkpoint_format", "format") or "gptq"
    if form not in _GPTQ_FORMATS or checkpoint.config.get("is_marlin_format"):
        raise CannotUnpack(f"GPTQ of another layout than gptq or gptq_v2 ({_stated(checkpoint)})")
    groups, outputs = scales.shape
    index = checkpoint.get(f"{module}.g_idx")
    known = index.shape if index is not None and index.shape != (0,) else None
    fitting = [
        bits
        for bits in _GPTQ_BITS
        if zeros.shape == (groups, -(-outputs * bits // 32))
        and weight.shape[0] * 32 % bits == 0
        and known in (None, (weight.shape[0] * 32 // bits,))
    ]
    bits = _bits(checkpoint, weight, fitting)
    inputs = weight.shape[0] * 32 // bits
    parameters: Parameters = {"bits": bits, "shape": (outputs, inputs), "checkpoint_format": form}
    if index is not None and known is not None:
        check_dtype(index, "I32", "I64")
        roles = {**roles, "g_idx": index.name}
        parameters["group_size"] = _group_size(checkpoint, inputs, groups, certain=False)
    else:
        parameters["group_size"] = _group_size(checkpoint, inputs, groups)
    return checkpoint.weight(f"{module}.weight", (outputs, inputs), "gptq", roles, parameters)


def _awq(checkpoint: Checkpoint, module: str, roles: dict[str, str]) -> PackedWeight:
    weight, zeros, scales = (checkpoint.need(name) for name in roles.values())
    config = checkpoint.config
    version = (_first(config, "version", "checkpoint_format", "format") or "gemm").lower()
    if version not in _AWQ_VERSIONS:
        raise CannotUnpack(f"AWQ of another version than gemm ({_stated(checkpoint)})")
    groups, outputs = scales.shape
    inputs = weight.shape[0]
    _bits(checkpoint, weight, [_AWQ_BITS])
    check_shape(zeros, (groups, outputs // 8))
    parameters: Parameters = {
        "bits": _AWQ_BITS,
        "shape": (outputs, inputs),
        "group_size": _group_size(checkpoint, inputs, groups),
    }
    return checkpoint.weight(f"{module}.weight", (outputs, inputs), "awq", roles, parameters)


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
        for bits in _COMPRESSED_BITS
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


def _bits(checkpoint: Checkpoint, weight: TensorInfo, fitting: list[int]) -> int:
    """The bits that the shapes allow and the config states (unless it states several)."""
    stated = positive(checkpoint.config.get("bits")) or positive(checkpoint.config.get("w_bit"))
    if stated is not None and not checkpoint.config.get("dynamic"):
        fitting = [bits for bits in fitting if bits == stated]
    if len(fitting) != 1:
        raise CannotUnpack(
            f"{weight.name} is {list(weight.shape)}, from which its bits do not follow with its "
            f"zeros, scales and g_idx ({_stated(checkpoint)})"
        )
    return fitting[0]


def _group_size(checkpoint: Checkpoint, inputs: int, groups: int, certain: bool = True) -> int:
    """Inputs that share a scale. `certain`: nothing else says which group an input is in."""
    config = checkpoint.config
    stated = positive(config.get("group_size")) or positive(config.get("q_group_size"))
    if stated is not None and -(-inputs // stated) == groups:
        return stated
    if certain and inputs % groups:
        raise CannotUnpack(f"{groups} groups do not divide {inputs} inputs")
    return -(-inputs // groups)


def _first(config: Mapping[str, Any], *keys: str) -> str | None:
    return next((str(config[key]) for key in keys if config.get(key)), None)


def _stated(checkpoint: Checkpoint) -> str:
    """What the config says of the packing, for messages."""
    keys = ("quant_method", "bits", "version", "checkpoint_format", "format")
    found = [
        f"{key} {str(checkpoint.config[key])[:40]!r}" for key in keys if key in checkpoint.config
    ]
    return f"config.json: {', '.join(found) or 'nothing about it'}"
