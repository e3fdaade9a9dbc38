"""Packings that are not known, and known ones that are damaged: named, never taken for numbers."""

import json

import pytest
import torch

from analyzer.dequantize import dequantize
from analyzer.errors import UnreadableFile, UnsupportedFormat
from analyzer.outline import Location, Packing
from analyzer.packing.checkpoint import MAX_SMALL_BYTES
from analyzer.selection import select
from tests.analyzer import packers
from tests.analyzer.packed import CONFIGS, NVFP4, compressed, one, packed_in, weight_of

U8, I8, I32 = torch.uint8, torch.int8, torch.int32
FP8 = torch.float8_e4m3fn


def zeros(*shape, dtype=torch.float32):
    return torch.zeros(shape, dtype=dtype)


UNKNOWN = {
    "AQLM": {"codes": zeros(8, 8, 1, dtype=I8), "codebooks": zeros(1, 16, 1, 8)},
    "HQQ": {"W_q": zeros(8, 8, dtype=U8), "scale": zeros(8, 1), "zero": zeros(8, 1)},
    "EETQ": {"qweight": zeros(8, 8, dtype=I8), "weight_scales": zeros(8)},
    "SpQR": {"dense_weights": zeros(64, dtype=I32)},
    "VPTQ": {"centroids.weight": zeros(1, 64), "indices": zeros(8, 8, dtype=I32)},
    "quanto": {"weight._data": zeros(8, 8, dtype=I8), "weight._scale": zeros(8, 1)},
    "HIGGS": {"weight": zeros(8, 8, dtype=torch.int16), "tables2": zeros(16, 2)},
    "MLX": {
        "weight": zeros(8, 8, dtype=torch.uint32), "scales": zeros(8, 1), "biases": zeros(8, 1),
    },
    "NVFP4 of modelopt": {
        "weight": zeros(8, 8, dtype=U8), "weight_scale": zeros(8, 1).to(FP8),
        "weight_scale_2": zeros(1),
    },
    "sparse compressed-tensors": {"compressed": zeros(32), "bitmask": zeros(8, 1, dtype=U8)},
    "U8 weights": {"weight": zeros(8, 8, dtype=U8), "weight_scale": zeros(1)},
    "I8 weights": {"weight": zeros(8, 8, dtype=I8)},
    "I32 weights": {"packed_experts": zeros(8, 8, dtype=I32)},
    "U8 weights)": {"mlp1_weight.blocks": zeros(2, 8, 2, 16, dtype=U8)},
    "packed weights": {"weight": zeros(8, 8), "weight_scale": zeros(8, 1)},
    "qzeros is missing": {"qweight": zeros(8, 8, dtype=I32), "scales": zeros(1, 8)},
    "is F32, not I8": {"weight": zeros(8, 8), "SCB": zeros(8)},
    "reordered for a GPU": {
        "weight": zeros(8, 8, dtype=I8), "SCB": zeros(8), "weight_format": zeros(dtype=U8) + 1,
    },
}  # fmt: skip


@pytest.mark.parametrize("name", UNKNOWN)
def test_an_unknown_packing_is_named(tmp_path, name):
    found = one(tmp_path, UNKNOWN[name])
    assert name in str(found.unreadable)
    assert found.quantisation == "packed weights"
    assert [matrix.tensor for matrix in found.matrices] in (
        ["model.layers.0.o_proj.weight"],
        ["model.layers.0.o_proj.weight", "model.layers.0.q_proj.weight"],
    )
    assert all(matrix.dtype == "F32" for matrix in found.matrices)
    with pytest.raises(UnsupportedFormat, match="cannot dequantise"):
        select(found)


@pytest.mark.parametrize(
    ("config", "message"),
    [
        ({"quant_method": "torchao"}, "torchao, which config.json declares"),
        ({"quant_method": "x\n" * 99}, "x" * 20),
        ({"bits": 4}, "an unnamed method"),
        ({"quant_method": "awq"}, "declares awq, but no weight is packed"),
        (
            {"quant_method": "compressed-tensors", "sparsity_config": {"format": "marlin-24"}},
            "sparse format 'marlin-24'",
        ),
    ],
)
def test_a_declared_packing_that_no_tensor_shows(tmp_path, config, message):
    found = one(tmp_path, {"weight": zeros(4, 4)}, config)
    assert message in str(found.unreadable)
    assert str(found.unreadable).isprintable()
    with pytest.raises(UnsupportedFormat):
        select(found)


GPTQ, AWQ = CONFIGS["gptq"], CONFIGS["awq"]
MARLIN = {**GPTQ, "is_marlin_format": True}
VARIANTS = [
    (packers.gptq(), {**GPTQ, "checkpoint_format": "marlin"}, "'marlin'"),
    (packers.gptq(), MARLIN, "another layout"),
    (packers.gptq(), {**GPTQ, "bits": 8}, "bits 8|bits '8'"),
    (packers.gptq(index=False), {**GPTQ, "group_size": 32}, "4 groups of 32"),
    (packers.awq(), {**AWQ, "group_size": 32}, "4 groups of 32"),
    (packers.gptq(), AWQ, "neither as GPTQ nor as AWQ"),
    (packers.awq(), GPTQ, "neither as GPTQ nor as AWQ"),
    (packers.awq(), {**AWQ, "version": "GEMV"}, "version 'GEMV'"),
    (packers.awq(), {**AWQ, "bits": 8}, "bits '8'"),
    (packers.fp8("block"), {"quant_method": "fp8", "weight_block_size": [8, 8]}, "no known blocks"),
    (packers.fp8("block"), None, "no known blocks"),
    (NVFP4[0], {"quant_method": "gptq"}, None),
]


@pytest.mark.parametrize(("pack", "config", "message"), VARIANTS)
def test_variants(tmp_path, pack, config, message):
    stored, _ = pack(torch.randn(48, 64))
    found = one(tmp_path, stored, config)
    if message is None:
        assert found.unreadable is None, "the tensors say enough"
    else:
        with pytest.raises(UnsupportedFormat, match=message):
            select(found)


NF4 = packers.bnb_4bit("nf4", True)
INT4 = compressed("pack-quantized", num_bits=4, type="int", strategy="group", group_size=16)
CHANNEL = compressed("pack-quantized", num_bits=4, type="int", strategy="channel")
INT8 = compressed("int-quantized", num_bits=8, type="int", strategy="channel", symmetric=False)
DAMAGED = [
    (packers.fp8("channel"), None, "weight_scale", zeros(47, 1)),
    (packers.fp8("channel"), None, "weight_scale", zeros(48, 1, dtype=torch.int64)),
    (packers.fp8("channel"), None, "weight_scale", zeros(3)),
    (packers.bnb_int8, None, "SCB", zeros(47)),
    (NF4, CONFIGS["bnb"], "weight", zeros(1535, 1, dtype=U8)),
    (NF4, CONFIGS["bnb"], "weight.absmax", zeros(47, dtype=U8)),
    (NF4, CONFIGS["bnb"], "weight.absmax", zeros(48)),
    (NF4, CONFIGS["bnb"], "weight.quant_map", zeros(15)),
    (NF4, CONFIGS["bnb"], "weight.nested_absmax", zeros(2)),
    (NF4, CONFIGS["bnb"], "weight.nested_quant_map", zeros(255)),
    (packers.gptq(), GPTQ, "qzeros", zeros(4, 7, dtype=I32)),
    (packers.gptq(), GPTQ, "g_idx", zeros(63, dtype=I32)),
    (packers.gptq(), GPTQ, "g_idx", zeros(64)),
    (packers.gptq(), GPTQ, "scales", zeros(4, 40)),
    (packers.gptq(index=False), GPTQ, "scales", zeros(0, 48)),
    (packers.awq(), AWQ, "qzeros", zeros(4, 7, dtype=I32)),
    (packers.awq(), AWQ, "scales", zeros(5, 48)),
    (*INT4, "weight_packed", zeros(48, 7, dtype=I32)),
    (*CHANNEL, "weight_shape", torch.tensor([48, -64])),
    (*CHANNEL, "weight_shape", torch.tensor([48, 64, 1])),
    (*CHANNEL, "weight_shape", torch.tensor([2**62, 64])),
    (*INT4, "weight_scale", zeros(48, 5)),
    (*INT4, "weight_zero_point", zeros(6, 5, dtype=I32)),
    (*INT4, "weight_g_idx", zeros(63, dtype=I32)),
    (*INT8, "weight_zero_point", zeros(47, 1, dtype=I8)),
    (*NVFP4, "weight_scale", zeros(48, 3).to(FP8)),
    (*NVFP4, "weight_global_scale", zeros(2)),
]


@pytest.mark.parametrize(("pack", "config", "leaf", "tensor"), DAMAGED)
def test_tensors_that_do_not_fit_together(tmp_path, pack, config, leaf, tensor):
    stored, _ = pack(torch.randn(48, 64))
    found = one(tmp_path, {**stored, leaf: tensor}, config)
    assert "model.layers.0.q_proj." in str(found.unreadable)
    with pytest.raises(UnsupportedFormat):
        select(found)


def test_blocks_of_experts_that_do_not_fit(tmp_path):
    for blocks, scales in (((2, 8, 2, 15), (2, 8, 2)), ((2, 8, 2, 16), (2, 8, 3))):
        stored = {"x_blocks": zeros(*blocks, dtype=U8), "x_scales": zeros(*scales, dtype=U8)}
        found = one(tmp_path, {f"experts.{name}": tensor for name, tensor in stored.items()})
        assert "x_" in str(found.unreadable)
    found = one(tmp_path, {"experts.x": zeros(3, 8, 8).to(FP8), "experts.x_scale": zeros(2, 8, 1)})
    assert "each of the 3 experts" in str(found.unreadable)


GOOD = {
    "quant_type": "nf4", "blocksize": 64, "dtype": "float32", "shape": [48, 64],
    "nested_blocksize": 256, "nested_dtype": "float32", "nested_offset": 0.5,
}  # fmt: skip
HOSTILE = [
    {"quant_type": "fp4"}, {"blocksize": 0}, {"blocksize": -64}, {"blocksize": True},
    {"blocksize": 2**70}, {"blocksize": "64"}, {"blocksize": 63}, {"shape": [48]},
    {"shape": None}, {"shape": [48, 64.0]}, {"shape": [-48, -64]}, {"shape": [2**40, 64]},
    {"shape": [48, 128]}, {"shape": "48x64"}, {"shape": [[48], [64]]}, {"shape": [True, 3072]},
    {"nested_offset": float("nan")}, {"nested_offset": float("inf")}, {"nested_offset": "0"},
    {"nested_offset": 10**400}, {"nested_offset": None}, {"nested_blocksize": 1},
]  # fmt: skip


@pytest.mark.parametrize("change", HOSTILE)
def test_hostile_quant_states(tmp_path, change):
    found = one(tmp_path, with_state(json.dumps({**GOOD, **change}).encode()), CONFIGS["bnb"])
    assert "q_proj.weight" in str(found.unreadable)


@pytest.mark.parametrize(
    "state",
    [
        b"",
        b"{",
        b"[]",
        b"\xff\xfe",
        b"[" * 20_000,
        b'{"a":' * 10_000,
        b" " * MAX_SMALL_BYTES + b"{}",
    ],
)
def test_damaged_quant_states(tmp_path, state):
    with pytest.raises(UnreadableFile, match="quant_state.*fetch it again"):
        one(tmp_path, with_state(state), CONFIGS["bnb"])


def with_state(state: bytes) -> dict:
    stored, _ = NF4(torch.randn(48, 64))
    name = "weight.quant_state.bitsandbytes__nf4"
    return {**stored, name: torch.tensor(list(state), dtype=U8)}


def test_the_good_state_is_read(tmp_path):
    found = one(tmp_path, with_state(json.dumps(GOOD).encode()), CONFIGS["bnb"])
    assert weight_of(packed_in(found), tmp_path).shape == (48, 64)


def test_groups_that_do_not_exist(tmp_path):
    stored, _ = packers.gptq()(torch.empty(48, 64))
    for group in (4, -5):
        found = one(tmp_path, {**stored, "g_idx": stored["g_idx"].clamp(max=2)}, GPTQ)
        stored["g_idx"][5] = group
        found = one(tmp_path, stored, GPTQ)
        with pytest.raises(UnreadableFile, match=f"g_idx names group {group} of 4"):
            weight_of(packed_in(found), tmp_path)


def test_a_format_that_is_not_known():
    packing = Packing(format="exl3", tensors={"weight": Location(tensor="w", file="f")})
    with pytest.raises(UnsupportedFormat, match="exl3"):
        dequantize(packing, {"weight": torch.zeros(2, 2)})


def test_masks_and_positions_are_no_weights(tmp_path):
    buffers = {"bias": zeros(1, 1, 8, 8, dtype=U8), "position_ids": zeros(1, 8, dtype=I32)}
    found = one(tmp_path, {**buffers, "weight": zeros(4, 4)})
    assert found.unreadable is None
    assert len(found.matrices) == 2
