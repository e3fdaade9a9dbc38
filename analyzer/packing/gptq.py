"""GPTQ and AWQ: integers packed into words of 32 bits, lowest bits first.

GPTQ packs along the inputs: qweight [in · bits / 32, out], qzeros [groups, out · bits / 32],
scales [groups, out]; w = scale · (q − zero). `checkpoint_format: gptq` (the default) stores
zero − 1, gptq_v2 the zero itself. g_idx [in] names the group of each input (act-order).
AWQ packs along the outputs, eight of 4 bits a word in the order 0 2 4 6 1 3 5 7: qweight
[in, out / 8].

https://github.com/ModelCloud/GPTQModel, https://github.com/casper-hansen/AutoAWQ
"""

from collections.abc import Mapping
from typing import Any

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

_GPTQ_BITS = (2, 3, 4, 8)
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
    if certain and ((stated is not None and not config.get("dynamic")) or inputs % groups):
        raise CannotUnpack(
            f"{groups} groups of {stated or 'equal size'} do not make up {inputs} inputs"
        )
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
