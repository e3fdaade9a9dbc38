"""Small checkpoints of every packing, and the weights behind what is found in them."""

import json
from pathlib import Path

import torch
from safetensors import safe_open
from safetensors.torch import load_file, save_file

from analyzer.dequantize import dequantize
from analyzer.eigenvalues import cut
from analyzer.outline import Matrix, Outline
from analyzer.scan import outline
from analyzer.source import open_source
from tests.analyzer import packers
from tests.families import save_family

BLOCK = [20, 24]
CONFIGS = {
    "fp8": {"quant_method": "fp8", "weight_block_size": BLOCK},
    "fbgemm": {"quant_method": "fbgemm_fp8"},
    "bnb": {"quant_method": "bitsandbytes", "load_in_4bit": True},
    "gptq": {"quant_method": "gptq", "bits": 4, "group_size": 16},
    "awq": {"quant_method": "awq", "bits": 4, "group_size": 16, "version": "gemm"},
}


def scheme(**weights):
    weights = {key: value for key, value in weights.items() if not isinstance(value, torch.dtype)}
    group = {"targets": ["Linear"], "weights": weights}
    return {"quant_method": "compressed-tensors", "config_groups": {"group_0": group}}


def compressed(form, **weights):
    return packers.compressed(form, **weights), scheme(**weights)


INT, FLOAT = {"num_bits": 8, "type": "int"}, {"num_bits": 8, "type": "float"}
PACKED = "pack-quantized"
CASES = {
    "fp8_tensor": (packers.fp8(), {"quant_method": "fp8"}),
    "fp8_e5m2": (packers.fp8(dtype=torch.float8_e5m2), None),
    "fp8_channel": (packers.fp8("channel"), CONFIGS["fbgemm"]),
    "fp8_block": (packers.fp8("block", name="weight_scale_inv"), CONFIGS["fp8"]),
    "fp8_block_bf16": (packers.fp8("block", scale_dtype=torch.bfloat16), CONFIGS["fp8"]),
    "fp8_block_e8m0": (
        packers.fp8("block", name="weight_scale_inv", scale_dtype=torch.float8_e8m0fnu),
        CONFIGS["fp8"],
    ),
    "bnb_int8": (packers.bnb_int8, {"quant_method": "bitsandbytes", "load_in_8bit": True}),
    "nf4": (packers.bnb_4bit("nf4", False), CONFIGS["bnb"]),
    "nf4_nested": (packers.bnb_4bit("nf4", True), CONFIGS["bnb"]),
    "fp4": (packers.bnb_4bit("fp4", False), CONFIGS["bnb"]),
    "fp4_nested": (packers.bnb_4bit("fp4", True, 128), CONFIGS["bnb"]),
    "gptq_2": (packers.gptq(2), {**CONFIGS["gptq"], "bits": 2}),
    "gptq_4": (packers.gptq(4), CONFIGS["gptq"]),
    "gptq_4_v2": (packers.gptq(v2=True), {**CONFIGS["gptq"], "checkpoint_format": "gptq_v2"}),
    "gptq_8": (packers.gptq(8), {**CONFIGS["gptq"], "bits": 8}),
    "gptq_act_order": (packers.gptq(act_order=True), {**CONFIGS["gptq"], "desc_act": True}),
    "gptq_without_g_idx": (packers.gptq(index=False), CONFIGS["gptq"]),
    "gptq_mixed_bits": (packers.gptq(8), {**CONFIGS["gptq"], "dynamic": {"+:.*": {"bits": 8}}}),
    "awq": (packers.awq(), CONFIGS["awq"]),
    "awq_without_config": (packers.awq(), None),
    "float_tensor": compressed("float-quantized", **FLOAT, strategy="tensor"),
    "float_channel": compressed("float-quantized", **FLOAT, strategy="channel"),
    "float_block": compressed(
        "float-quantized", **FLOAT, strategy="block", block_structure=[16, 16]
    ),
    "float_group": compressed("naive-quantized", **FLOAT, strategy="group", group_size=16),
    "int_tensor": compressed("int-quantized", **INT, strategy="tensor"),
    "int_channel": compressed("int-quantized", **INT, strategy="channel"),
    "int_asymmetric": compressed("int-quantized", **INT, strategy="channel", symmetric=False),
    "int_group": compressed("naive-quantized", **INT, strategy="group", group_size=16),
    "mxfp8": (packers.fp8("block", block=(1, 16), scale_dtype=torch.float8_e8m0fnu), None),
}
for bits in (4, 8):
    for symmetric in (True, False):
        how = {"num_bits": bits, "type": "int", "symmetric": symmetric}
        name = f"packed_{bits}_{'symmetric' if symmetric else 'asymmetric'}"
        CASES[name] = compressed(PACKED, **how, strategy="group", group_size=16)
        CASES[f"{name}_channel"] = compressed(PACKED, **how, strategy="channel")
NVFP4 = compressed(
    "nvfp4-pack-quantized", num_bits=4, type="float", strategy="tensor_group", group_size=16
)


def declare(folder: Path, config) -> None:
    path = folder / "config.json"
    content = json.loads(path.read_text())
    path.write_text(json.dumps({**content, **({"quantization_config": config} if config else {})}))


def pack_family(family: str, folder: Path, pack, config, keep=()) -> tuple[Outline, dict]:
    """Save a model, pack the linear weights of its blocks, and say what they stand for."""
    save_family(family, folder)
    plain = outline(open_source(str(folder)))
    path = folder / "model.safetensors"
    tensors, references = load_file(path), {}
    for matrix in plain.matrices:
        inside = matrix.role in ("adaptable", "expert") and matrix.view.expert is None
        if not inside or matrix.tensor in references or str(matrix.module).endswith(tuple(keep)):
            continue
        weight = tensors.pop(matrix.tensor)
        weight = weight.T.contiguous() if matrix.view.transpose else weight
        stored, references[matrix.tensor] = pack(weight)
        module = matrix.tensor.removesuffix("weight")
        tensors |= {f"{module}{leaf}": tensor for leaf, tensor in stored.items()}
    save_file(tensors, path)
    declare(folder, config)
    return plain, references


def weight_of(matrix: Matrix, folder: Path) -> torch.Tensor:
    tensors = {}
    assert matrix.packing is not None
    for role, location in matrix.packing.tensors.items():
        with safe_open(folder / location.file, framework="pt") as opened:
            tensor = opened.get_tensor(location.tensor)
        tensors[role] = tensor if matrix.view.expert is None else tensor[matrix.view.expert]
    return cut(dequantize(matrix.packing, tensors), matrix.view)


def same(weight: torch.Tensor, reference: torch.Tensor) -> None:
    assert weight.dtype == torch.float32
    assert (weight - reference).abs().max() <= 1e-6 * reference.abs().max()


def one(folder: Path, tensors: dict, config=None) -> Outline:
    """The outline of a checkpoint of one module beside one plain weight of another."""
    stored = {f"model.layers.0.q_proj.{leaf}": tensor for leaf, tensor in tensors.items()}
    other = {"model.layers.0.o_proj.weight": torch.ones(4, 4)}
    save_file({**stored, **other}, folder / "model.safetensors")
    (folder / "config.json").write_text(json.dumps({"quantization_config": config or {}}))
    return outline(open_source(str(folder)))


def packed_in(found: Outline) -> Matrix:
    assert found.unreadable is None
    return next(matrix for matrix in found.matrices if matrix.packing)
