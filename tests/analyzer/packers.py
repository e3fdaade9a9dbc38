"""Quantised weights packed by the libraries, or from the formats' descriptions, never by us.

Every packer takes a weight (out × in, float32) and gives the tensors that a checkpoint stores for
it, by what follows the module's name, and the float32 weight that they stand for.
"""

from collections.abc import Callable

import numpy as np
import torch

Stored = dict[str, torch.Tensor]
Packer = Callable[[torch.Tensor], tuple[Stored, torch.Tensor]]


def in_words(values: np.ndarray, bits: int) -> torch.Tensor:
    """Rows of small numbers as one stream of bits a row, lowest first, in words of 32 bits."""
    stream = (values[..., None].astype(np.int64) >> np.arange(bits)) & 1
    stream = stream.reshape(len(values), -1).astype(np.uint8)
    stream = np.pad(stream, ((0, 0), (0, -stream.shape[1] % 32)))
    words = np.packbits(stream, axis=1, bitorder="little").view("<i4")
    return torch.from_numpy(words.copy())


def gptq(
    bits: int = 4, group: int = 16, *, v2: bool = False, act_order: bool = False, index: bool = True
) -> Packer:
    """GPTQ (README of AutoGPTQ): w[o, i] = scale[g, o] · (q[i, o] − zero[g, o]), g = g_idx[i]."""

    def pack(weight: torch.Tensor) -> tuple[Stored, torch.Tensor]:
        outputs, inputs = weight.shape
        groups, random = inputs // group, np.random.default_rng(outputs + inputs)
        codes = random.integers(0, 2**bits, (outputs, inputs))
        zeros = random.integers(1, 2**bits, (outputs, groups))
        scales = random.uniform(0.01, 0.1, (outputs, groups)).astype(np.float16)
        g_idx = np.arange(inputs) // group
        if act_order:
            g_idx = random.permutation(g_idx)
        plain = np.empty((outputs, inputs), np.float32)
        for row in range(outputs):
            for column in range(inputs):
                g = g_idx[column]
                step = np.float32(codes[row, column] - zeros[row, g])
                plain[row, column] = np.float32(scales[row, g]) * step
        stored = {
            "qweight": in_words(codes, bits).T.contiguous(),
            "qzeros": in_words((zeros - (not v2)).T, bits),
            "scales": torch.from_numpy(scales.T.copy()),
        }
        if index:
            stored["g_idx"] = torch.from_numpy(g_idx.astype(np.int32))
        return stored, torch.from_numpy(plain)

    return pack


def awq(group: int = 16) -> Packer:
    """AWQ, version gemm: eight outputs a word, in the order 0 2 4 6 1 3 5 7."""

    def pack(weight: torch.Tensor) -> tuple[Stored, torch.Tensor]:
        outputs, inputs = weight.shape
        random = np.random.default_rng(outputs)
        codes = random.integers(0, 16, (inputs, outputs))
        zeros = random.integers(0, 16, (inputs // group, outputs))
        scales = random.uniform(0.01, 0.1, zeros.shape).astype(np.float16)
        spread = np.repeat(scales.astype(np.float32), group, 0)
        plain = (codes - np.repeat(zeros, group, 0)).astype(np.float32) * spread

        def words(values: np.ndarray) -> torch.Tensor:
            packed = np.zeros((len(values), outputs // 8), np.uint32)
            for word in range(outputs // 8):
                for place, output in enumerate((0, 2, 4, 6, 1, 3, 5, 7)):
                    one = values[:, 8 * word + output].astype(np.uint32)
                    packed[:, word] |= one << np.uint32(4 * place)
            return torch.from_numpy(packed.view(np.int32).copy())

        stored = {"qweight": words(codes), "qzeros": words(zeros)}
        return {**stored, "scales": torch.from_numpy(scales)}, torch.from_numpy(plain.T.copy())

    return pack


def fp8(
    scale: str = "tensor",
    *,
    block: tuple[int, int] = (20, 24),
    dtype: torch.dtype = torch.float8_e4m3fn,
    scale_dtype: torch.dtype = torch.float32,
    name: str = "weight_scale",
) -> Packer:
    """FP8 (the model card of DeepSeek-V3): every block of the weight times its scale."""
    from transformers.integrations.finegrained_fp8 import _dequantize_fp8_weight

    def pack(weight: torch.Tensor) -> tuple[Stored, torch.Tensor]:
        rows, columns = weight.shape
        size = {"tensor": (rows, columns), "channel": (1, columns), "block": block}[scale]
        grid = -(-rows // size[0]), -(-columns // size[1])
        generator = torch.Generator().manual_seed(rows)
        scales = (torch.rand(grid, generator=generator) + 0.5).to(scale_dtype)
        codes = (weight * 100).to(dtype)
        plain = torch.empty(rows, columns)
        for row in range(rows):
            for column in range(columns):
                own = scales[row // size[0], column // size[1]].float()
                plain[row, column] = codes[row, column].float() * own
        if scale == "block":
            assert torch.equal(plain, _dequantize_fp8_weight(codes, scales, block, torch.float32))
        shape = {"tensor": (), "channel": (rows, 1), "block": grid}[scale]
        return {"weight": codes, name: scales.reshape(shape)}, plain

    return pack


def bnb_4bit(kind: str, nested: bool, block: int = 64) -> Packer:
    """By bitsandbytes; unpacked by its implementation in torch.

    Its kernel for CPUs (0.50.2) is wrong where a row is not a multiple of the block.
    """

    def pack(weight: torch.Tensor) -> tuple[Stored, torch.Tensor]:
        from bitsandbytes import functional
        from bitsandbytes.backends.default.ops import _dequantize_4bit_compute

        codes, state = functional.quantize_4bit(
            weight, blocksize=block, compress_statistics=nested, quant_type=kind
        )
        absmax = state.absmax
        if nested:
            absmax = functional.dequantize_blockwise(state.absmax, state.state2) + state.offset
        plain = _dequantize_4bit_compute(
            codes.reshape(-1), absmax, state.code, block, weight.shape, torch.float32
        )
        if weight.shape[1] % block == 0:
            assert torch.equal(plain, functional.dequantize_4bit(codes, state))
        stored = {f"weight.{key}": value for key, value in state.as_dict(packed=True).items()}
        return {"weight": codes, **stored}, plain

    return pack


def bnb_int8(weight: torch.Tensor) -> tuple[Stored, torch.Tensor]:
    """By bitsandbytes, both ways."""
    from bitsandbytes import functional

    codes, scale, _ = functional.int8_vectorwise_quant(weight.half())
    stored = {"weight": codes, "SCB": scale, "weight_format": torch.tensor(0, dtype=torch.uint8)}
    return stored, functional.int8_vectorwise_dequant(codes, scale)


def compressed(form: str, **arguments) -> Packer:
    """By compressed-tensors, both ways."""

    def pack(weight: torch.Tensor) -> tuple[Stored, torch.Tensor]:
        from compressed_tensors.compressors.base import BaseCompressor
        from compressed_tensors.quantization import QuantizationArgs, QuantizationScheme

        scheme = QuantizationScheme(targets=["Linear"], weights=QuantizationArgs(**arguments))
        compressor = BaseCompressor.get_value_from_registry(form)
        stored = compressor.compress({"weight": weight, **_scales(weight, scheme.weights)}, scheme)
        plain = compressor.decompress(dict(stored), scheme)["weight"]
        if plain.dtype != torch.float32:
            exact = _float4(stored, scheme.weights)
            assert torch.allclose(plain.float(), exact, rtol=2**-7)
            plain = exact
        stored = {name: tensor.contiguous() for name, tensor in stored.items()}
        return stored, plain.float()

    return pack


def _float4(stored: Stored, args) -> torch.Tensor:
    """The library's 4-bit floats in float32; its `decompress` of NVFP4 rounds to bfloat16."""
    from compressed_tensors.compressors.mx_utils import decompress_mx_scale
    from compressed_tensors.compressors.nvfp4.helpers import unpack_fp4_from_uint8
    from compressed_tensors.quantization.lifecycle.forward import dequantize

    rows, half = stored["weight_packed"].shape
    codes = unpack_fp4_from_uint8(stored["weight_packed"], rows, 2 * half, dtype=torch.float32)
    scale, whole = stored["weight_scale"], stored.get("weight_global_scale")
    scale = decompress_mx_scale(scale).float() if scale.dtype == torch.uint8 else scale.float()
    return dequantize(codes, scale, args=args, dtype=torch.float32, global_scale=whole)


def _scales(weight: torch.Tensor, args) -> Stored:
    """The scales (and zero points) of a weight in the shapes that the strategy asks for."""
    from compressed_tensors.quantization import QuantizationStrategy
    from compressed_tensors.quantization.utils import calculate_qparams, generate_gparam

    rows, columns = weight.shape
    strategy = QuantizationStrategy(args.strategy).value
    size = {
        "tensor": (rows, columns),
        "channel": (1, columns),
        "block": tuple(args.block_structure or ()),
    }.get(strategy) or (1, args.group_size)
    tops = range(0, rows, size[0])
    lefts = range(0, columns, size[1])
    blocks = [[weight[t : t + size[0], c : c + size[1]] for c in lefts] for t in tops]
    low, high = (
        torch.stack([torch.stack([end(block) for block in row]) for row in blocks])
        for end in (torch.min, torch.max)
    )
    if strategy == "tensor":
        low, high = low.reshape(1), high.reshape(1)
    stored = {}
    whole = generate_gparam(weight.min(), weight.max()) if strategy == "tensor_group" else None
    if whole is not None:
        stored["weight_global_scale"] = whole
    scale, zero = calculate_qparams(low, high, args, whole)
    return {**stored, "weight_scale": scale, "weight_zero_point": zero}


def mxfp4(weight: torch.Tensor) -> tuple[Stored, torch.Tensor]:
    """Experts (E × out × in) of gpt-oss: any codes and exponents, unpacked by transformers."""
    from transformers.integrations.mxfp4 import convert_moe_packed_tensors

    experts, rows, columns = weight.shape
    generator = torch.Generator().manual_seed(rows)
    shape = experts, rows, columns // 32
    blocks = torch.randint(0, 256, (*shape, 16), dtype=torch.uint8, generator=generator)
    scales = torch.randint(110, 130, shape, dtype=torch.uint8, generator=generator)
    plain = convert_moe_packed_tensors(blocks, scales, dtype=torch.float32)
    return {"_blocks": blocks, "_scales": scales}, plain.transpose(1, 2)
