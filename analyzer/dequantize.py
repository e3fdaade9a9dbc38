"""Packed weights in float32: what `analyzer.packing` has found, turned into numbers.

Every format is one of two things: codes times the scale of their block, or codes that look up a
table first. The result is the only float32 copy; the work on it goes by slices of rows.
"""

import math
from collections.abc import Callable, Mapping
from typing import cast

import torch

from analyzer.errors import UnreadableFile, UnsupportedFormat
from analyzer.outline import Packing

Tensors = Mapping[str, torch.Tensor]

_ELEMENTS = 4_194_304
"""Elements of a slice of rows: 16 MiB of float32."""

_AWQ_PLACES = [0, 4, 1, 5, 2, 6, 3, 7]
"""Where in a word of AWQ each of eight outputs lies."""

_E2M1 = [0.0, 0.5, 1.0, 1.5, 2.0, 3.0, 4.0, 6.0]


def dequantize(packing: Packing, tensors: Tensors) -> torch.Tensor:
    """The float32 weight, out × in or as the plain weight would be stored, so that a view fits.

    `tensors` holds the stored tensor of each role, all on one device; those of a 3-D pack are
    slices at one expert along the first dimension. Raises UnsupportedFormat for a format that is
    not known, UnreadableFile where values lie outside their range.
    """
    if packing.format not in _FORMATS:
        raise UnsupportedFormat(
            f"{packing.format} weights cannot be dequantised; use the model they were made from"
        )
    return _FORMATS[packing.format](packing, tensors)


def _scaled(packing: Packing, tensors: Tensors) -> torch.Tensor:
    """FP8, and 8-bit integers of compressed-tensors."""
    weight = tensors["weight"]
    if "scale" not in tensors:
        return weight.to(torch.float32)
    block = _pair(packing, "block")
    rows, columns = -(-weight.shape[0] // block[0]), -(-weight.shape[1] // block[1])
    scale = _exponents(tensors["scale"]).reshape(rows, columns)
    zero = tensors["zero"].float().reshape(rows, columns) if "zero" in tensors else None
    return _multiply(weight, scale, zero, block, _group_index(packing, tensors, columns))


def _bnb_int8(packing: Packing, tensors: Tensors) -> torch.Tensor:
    weight = tensors["weight"]
    return _multiply(weight, tensors["scale"].float()[:, None] / 127, None, (1, weight.shape[1]))


def _bnb_4bit(packing: Packing, tensors: Tensors) -> torch.Tensor:
    absmax = tensors["absmax"].float()
    if "nested_absmax" in tensors:
        block = (1, _number(packing, "nested_block_size"))
        codes, maxima = _in_rows(tensors["absmax"], block[1]), tensors["nested_absmax"].float()
        table = tensors["nested_quant_map"].float()
        nested = _multiply(codes, maxima[:, None], None, block, table=table)
        absmax = nested.reshape(-1)[: absmax.numel()] + float(
            cast(float, packing.parameters["nested_offset"])
        )
    shape, block = _pair(packing, "shape"), (1, _number(packing, "block_size"))
    stored = tensors["weight"].contiguous().reshape(-1).view(torch.uint8)
    codes = _in_rows(_nibbles(stored, high_first=True), block[1])
    weight = _multiply(codes, absmax[:, None], None, block, table=tensors["quant_map"].float())
    return weight.reshape(-1)[: math.prod(shape)].reshape(shape)


def _gptq(packing: Packing, tensors: Tensors) -> torch.Tensor:
    bits, (outputs, inputs) = _number(packing, "bits"), _pair(packing, "shape")
    zeros = tensors["zero"]
    stored_less_one = packing.parameters["checkpoint_format"] == "gptq"
    if stored_less_one and bits != 3:  # whole words, as one zero may borrow from the next
        zeros = zeros + _every_field(bits)
    zero = _fields(zeros, bits)[:, :outputs].to(torch.float32)
    if stored_less_one and bits == 3:
        zero = (zero + 1) % 8
    codes = _fields(tensors["weight"].T, bits)[:, :inputs]
    scale, block = tensors["scale"].float().T, (1, _number(packing, "group_size"))
    return _multiply(codes, scale, zero.T, block, _group_index(packing, tensors, scale.shape[1]))


def _awq(packing: Packing, tensors: Tensors) -> torch.Tensor:
    zero, codes = (_awq_fields(tensors[role]) for role in ("zero", "weight"))
    scale, block = tensors["scale"].float(), (1, _number(packing, "group_size"))
    return _multiply(codes.T, scale.T, zero.float().T, block)


def _awq_fields(words: torch.Tensor) -> torch.Tensor:
    fields = _fields(words, 4)
    return fields.reshape(len(words), -1, 8)[:, :, _AWQ_PLACES].reshape(fields.shape)


def _compressed_packed(packing: Packing, tensors: Tensors) -> torch.Tensor:
    bits, (outputs, inputs) = _number(packing, "bits"), _pair(packing, "shape")
    scale = tensors["scale"].float()
    scale = scale if scale.ndim == 2 else scale[:, None]
    codes = _fields(tensors["weight"], bits)[:, :inputs]
    offset = float(2 ** (bits - 1))  # of signed numbers stored without a sign
    stored = tensors.get("zero")
    if stored is None:
        zero = torch.full_like(scale, offset)
    elif stored.dtype == torch.int8:
        zero = stored.float().reshape(scale.shape) + offset
    else:
        zero = _fields(stored.T, bits)[:, :outputs].T.to(torch.float32)
    index = _group_index(packing, tensors, scale.shape[1])
    block = (outputs // len(scale), _number(packing, "group_size"))
    return _multiply(codes, scale, zero, block, index)


def _float4(packing: Packing, tensors: Tensors) -> torch.Tensor:
    """MXFP4 and NVFP4: E2M1 codes in groups with a scale each."""
    stored = tensors["weight"]
    codes = _nibbles(stored.reshape(len(stored), -1), high_first=False)
    scale = _exponents(tensors["scale"])
    if "global_scale" in tensors:
        scale = scale / tensors["global_scale"].float().reshape(())
    table = torch.tensor([*_E2M1, *(-value for value in _E2M1)], device=stored.device)
    return _multiply(codes, scale, None, (1, codes.shape[1] // scale.shape[1]), table=table)


def _multiply(
    codes: torch.Tensor,
    scale: torch.Tensor,
    zero: torch.Tensor | None,
    block: tuple[int, int],
    groups: torch.Tensor | None = None,
    table: torch.Tensor | None = None,
) -> torch.Tensor:
    """(table[codes] − zero) · scale in float32, for codes of shape (rows, columns).

    `scale` and `zero` have one number a block of `block` rows × columns. `groups` names the
    column of `scale` for every column of `codes`, where that is not its place.
    """
    rows, columns = codes.shape
    weight = torch.empty(rows, columns, dtype=torch.float32, device=codes.device)
    if groups is None and scale.shape[1] > 1:
        groups = torch.arange(columns, device=codes.device) // block[1]
    step = max(1, _ELEMENTS // max(1, columns))
    for top in range(0, rows, step):
        part = weight[top : top + step]
        taken = codes[top : top + step]
        part.copy_(taken if table is None else table[taken.int()])
        own = torch.arange(top, top + len(part), device=codes.device) // block[0]
        for numbers, apply in ((zero, part.sub_), (scale, part.mul_)):
            if numbers is not None:
                apply(numbers[own] if groups is None else numbers[own][:, groups])
    return weight


def _group_index(packing: Packing, tensors: Tensors, groups: int) -> torch.Tensor | None:
    """The group of each input by g_idx; None where the inputs are in order.

    GPTQ counts negative ones from the end, as its library does; all negative means not used.
    """
    if "g_idx" not in tensors:
        return None
    index = tensors["g_idx"].long()
    low, high = (int(end) for end in torch.aminmax(index))
    if high < 0 or groups == 1:
        return None
    if high >= groups or low < -groups:
        name = packing.tensors["g_idx"].tensor
        raise UnreadableFile(
            f"{name} names group {high if high >= groups else low} of {groups}; "
            "the file is damaged, fetch it again"
        )
    return torch.where(index < 0, index + groups, index)


def _fields(words: torch.Tensor, bits: int) -> torch.Tensor:
    """The fields of `bits` bits in rows of int32 words, lowest first, as uint8.

    Fields run on from word to word: 3 words hold 32 fields of 3 bits.
    """
    rows, count = words.shape
    words = torch.nn.functional.pad(words, (0, -count % bits)).reshape(rows, -1, bits)
    fields = torch.empty(rows, words.shape[1], 32, dtype=torch.uint8, device=words.device)
    for place in range(32):
        word, shift = divmod(place * bits, 32)
        field = words[:, :, word] >> shift
        if shift + bits > 32:
            field &= (1 << (32 - shift)) - 1
            field |= words[:, :, word + 1] << (32 - shift)
        fields[:, :, place] = field & ((1 << bits) - 1)
    return fields.reshape(rows, -1)[:, : count * 32 // bits]


def _every_field(bits: int) -> int:
    """A word with 1 in each of its fields."""
    return sum(1 << shift for shift in range(0, 32, bits))


def _nibbles(stored: torch.Tensor, *, high_first: bool) -> torch.Tensor:
    """Two codes of 4 bits from each byte of the last dimension."""
    halves = (stored >> 4, stored & 15) if high_first else (stored & 15, stored >> 4)
    return torch.stack(halves, dim=-1).flatten(-2)


def _in_rows(codes: torch.Tensor, length: int) -> torch.Tensor:
    """Flat codes in rows of `length`, the last one filled up."""
    flat = codes.reshape(-1)
    missing = -len(flat) % length
    return (torch.nn.functional.pad(flat, (0, missing)) if missing else flat).reshape(-1, length)


def _exponents(scale: torch.Tensor) -> torch.Tensor:
    """A scale in float32; bytes are exponents of 2 with a bias of 127."""
    if scale.dtype == torch.uint8:
        scale = scale.view(torch.float8_e8m0fnu)
    return scale.to(torch.float32)


def _number(packing: Packing, name: str) -> int:
    return cast(int, packing.parameters[name])


def _pair(packing: Packing, name: str) -> tuple[int, int]:
    return cast(tuple[int, int], packing.parameters[name])


_FORMATS: dict[str, Callable[[Packing, Tensors], torch.Tensor]] = {
    "fp8": _scaled,
    "compressed_int": _scaled,
    "bnb_int8": _bnb_int8,
    "bnb_4bit": _bnb_4bit,
    "gptq": _gptq,
    "awq": _awq,
    "compressed_packed": _compressed_packed,
    "mxfp4": _float4,
    "compressed_mxfp4": _float4,
    "compressed_nvfp4": _float4,
}
