"""Small checkpoints of every packing: what the outline finds, and the weights behind it."""

import json
from pathlib import Path

import pytest
import torch
from safetensors import safe_open
from safetensors.torch import load_file, save_file

from analyzer.api import analyze as analyze_model
from analyzer.dequantize import dequantize
from analyzer.eigenvalues import cut
from analyzer.outline import Matrix, Outline
from analyzer.scan import outline
from analyzer.selection import select
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
FUSED = {
    "phi3": ("gptq_act_order", "awq", "nf4_nested", "fp8_block"),
    "gpt2": ("gptq_4", "nf4", "bnb_int8"),
    "mixtral": ("nf4", "gptq_4"),
}


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


def declare(folder: Path, config) -> None:
    path = folder / "config.json"
    content = json.loads(path.read_text())
    path.write_text(json.dumps({**content, **({"quantization_config": config} if config else {})}))


def weight_of(matrix: Matrix, folder: Path) -> torch.Tensor:
    tensors = {}
    assert matrix.packing is not None
    for role, location in matrix.packing.tensors.items():
        with safe_open(folder / location.file, framework="pt") as opened:
            tensor = opened.get_tensor(location.tensor)
        tensors[role] = tensor if matrix.view.expert is None else tensor[matrix.view.expert]
    return cut(dequantize(matrix.packing, tensors), matrix.view)


def described(found: Outline) -> list[tuple]:
    return sorted(
        (m.name, m.shape, m.role, m.stack, m.layer, m.module, m.part, m.expert)
        for m in found.matrices
    )


def check(folder: Path, plain: Outline, references: dict) -> Outline:
    """The packed model has the plain one's matrices, with the weights that were packed."""
    found = outline(open_source(str(folder)))
    assert found.unreadable is None
    assert found.stacks == plain.stacks
    assert described(found) == described(plain)
    assert select(found)
    whole = {matrix.name: matrix for matrix in plain.matrices}
    packed = [matrix for matrix in found.matrices if matrix.packing is not None]
    assert {whole[matrix.name].tensor for matrix in packed} == references.keys()
    for matrix in packed:
        view = whole[matrix.name].view.model_copy(update={"transpose": False, "expert": None})
        reference = references[whole[matrix.name].tensor]
        if matrix.view.expert is not None:
            reference = reference[matrix.view.expert]
        same(weight_of(matrix, folder), cut(reference, view))
        assert matrix.shape == tuple(cut(reference, view).shape)
    every_byte_counts(found, folder)
    return found


def same(weight: torch.Tensor, reference: torch.Tensor) -> None:
    assert weight.dtype == torch.float32
    assert (weight - reference).abs().max() <= 1e-6 * reference.abs().max()


def every_byte_counts(found: Outline, folder: Path) -> None:
    source = open_source(str(folder))
    sizes = {info.name: info.nbytes for file in source.files for info in source.tensors(file)}
    used = {matrix.tensor for matrix in found.matrices}
    for matrix in found.matrices:
        if matrix.packing:
            used |= {location.tensor for location in matrix.packing.tensors.values()}
    skipped = {skipped.tensor for skipped in found.skipped}
    assert used | skipped == sizes.keys()
    assert not used & skipped
    counted, stored = sum(m.bytes for m in found.matrices), sum(sizes[name] for name in used)
    assert stored - len(found.matrices) < counted <= stored, "parts round down"


@pytest.mark.parametrize("case", CASES)
def test_packed_llama(tmp_path, case):
    pack, config = CASES[case]
    plain, references = pack_family("llama", tmp_path, pack, config)
    found = check(tmp_path, plain, references)
    assert len(references) == 14
    assert found.quantisation is not None
    assert not found.warnings


@pytest.mark.parametrize(("family", "case"), [(f, c) for f in FUSED for c in FUSED[f]])
def test_packed_fused_and_transposed_modules(tmp_path, family, case):
    pack, config = CASES[case]
    plain, references = pack_family(family, tmp_path, pack, config)
    check(tmp_path, plain, references)


@pytest.mark.parametrize(("family", "case"), [("llama", "nf4_nested"), ("phi3", "gptq_act_order")])
def test_the_analysis_is_that_of_the_unpacked_model(tmp_path, family, case):
    """Same eigenvalues as of a plain checkpoint that holds what the packed one stands for."""
    packed, plain = tmp_path / "packed", tmp_path / "plain"
    _, references = pack_family(family, packed, *CASES[case])
    save_family(family, plain)
    path = plain / "model.safetensors"
    save_file({**load_file(path), **references}, path)
    found, expected = (analyze_model(folder) for folder in (packed, plain))
    alphas = {matrix.name: matrix.fits["hill"].alpha for matrix in expected.matrices}
    for matrix in found.matrices:
        assert matrix.fits["hill"].alpha == pytest.approx(alphas[matrix.name], rel=1e-5)


def test_modules_that_are_not_converted(tmp_path):
    pack, config = CASES["nf4"]
    plain, references = pack_family("llama", tmp_path, pack, config, keep=("o_proj", "up_proj"))
    found = check(tmp_path, plain, references)
    assert len(references) == 10
    assert (
        sum(matrix.packing is None and matrix.role == "adaptable" for matrix in found.matrices) == 4
    )


def test_gpt2_with_some_modules_packed_and_others_transposed(tmp_path):
    pack, config = CASES["nf4"]
    plain, references = pack_family("gpt2", tmp_path, pack, config, keep=("attn.c_proj",))
    found = check(tmp_path, plain, references)
    views = {m.module: m.view.transpose for m in found.matrices if m.role == "adaptable"}
    assert views == {
        "attn.c_attn": False, "mlp.c_fc": False, "mlp.c_proj": False, "attn.c_proj": True,
    }  # fmt: skip


def test_gptq_without_config_is_read_as_the_usual_one(tmp_path):
    plain, references = pack_family("llama", tmp_path, packers.gptq(), None)
    assert "checkpoint_format" in check(tmp_path, plain, references).warnings[0]


def test_gpt_oss(tmp_path):
    """Blocks are out × in, though the plain experts are stored in × out."""
    save_family("gpt_oss", tmp_path)
    plain = outline(open_source(str(tmp_path)))
    path = tmp_path / "model.safetensors"
    tensors, references = load_file(path), {}
    for name in [name for name in tensors if name.endswith(("gate_up_proj", "down_proj"))]:
        weight = tensors.pop(name).transpose(1, 2)
        columns = -(-weight.shape[2] // 32) * 32
        stored, references[name] = packers.mxfp4(torch.empty(*weight.shape[:2], columns))
        tensors |= {f"{name}{leaf}": tensor for leaf, tensor in stored.items()}
    save_file(tensors, path)
    declare(tmp_path, {"quant_method": "mxfp4", "modules_to_not_convert": ["lm_head"]})
    found = outline(open_source(str(tmp_path)))
    assert {m.name for m in found.matrices} == {m.name for m in plain.matrices}
    packed = [matrix for matrix in found.matrices if matrix.packing]
    assert len(packed) == 2 * 3 * 3
    for matrix in packed:
        reference = references[matrix.name.split("#")[0]][matrix.expert]
        if matrix.part:
            reference = reference[matrix.part == "up" :: 2]
        assert matrix.shape == tuple(reference.shape)
        same(weight_of(matrix, tmp_path), reference)
    every_byte_counts(found, tmp_path)


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


def test_gptq_of_3_bits(tmp_path):
    """Fields run over the ends of words, so inputs are multiples of 32."""
    stored, reference = packers.gptq(3, act_order=True)(torch.empty(40, 96))
    found = one(tmp_path, stored, {**CONFIGS["gptq"], "bits": 3})
    same(weight_of(packed_in(found), tmp_path), reference)


def test_nvfp4(tmp_path):
    pack, config = NVFP4
    stored, reference = pack(torch.randn(24, 64))
    found = one(tmp_path, stored, config)
    same(weight_of(packed_in(found), tmp_path), reference)


def test_mxfp4_of_compressed_tensors(tmp_path):
    pack, config = compressed(
        "mxfp4-pack-quantized", num_bits=4, type="float", strategy="group", group_size=32,
        scale_dtype=torch.uint8, zp_dtype=torch.uint8,
    )  # fmt: skip
    stored, reference = pack(torch.randn(24, 64))
    found = one(tmp_path, stored, config)
    same(weight_of(packed_in(found), tmp_path), reference)


@pytest.mark.parametrize("scale", [(3,), (3, 1, 1), (3, 20, 1), (3, 1, 30), (3, 2, 2)])
def test_fp8_experts(tmp_path, scale):
    weight = torch.randn(3, 20, 30).to(torch.float8_e4m3fn)
    scales = torch.rand(scale) + 0.5
    reference = (
        weight.float() * scales.reshape(scale + (1,) * (3 - len(scale)))
        if 2 not in scale
        else (
            weight.float()
            * scales.repeat_interleave(16, 1)[:, :20].repeat_interleave(24, 2)[:, :, :30]
        )
    )
    stored = {"experts.down_proj": weight, "experts.down_proj_scale_inv": scales}
    config = {"quant_method": "fp8", "weight_block_size": [16, 24]}
    found = one(tmp_path, stored, config)
    experts = [matrix for matrix in found.matrices if matrix.role == "expert"]
    assert [matrix.expert for matrix in experts] == [0, 1, 2]
    for matrix in experts:
        same(weight_of(matrix, tmp_path), reference[matrix.expert])


def test_fp8_without_scales_is_cast_where_nothing_says_otherwise(tmp_path):
    weight = torch.randn(8, 6).to(torch.float8_e4m3fn)
    found = one(tmp_path, {"weight": weight})
    same(weight_of(packed_in(found), tmp_path), weight.float())
    assert "has no scale" in str(
        one(tmp_path, {"weight": weight}, {"quant_method": "fp8"}).unreadable
    )


def test_g_idx_all_negative_is_not_used(tmp_path):
    stored, reference = packers.gptq()(torch.empty(32, 64))
    found = one(tmp_path, {**stored, "g_idx": torch.full((64,), -1, dtype=torch.int32)}, {})
    same(weight_of(packed_in(found), tmp_path), reference)


def test_g_idx_counts_negative_ones_from_the_end(tmp_path):
    stored, reference = packers.gptq(act_order=True)(torch.empty(32, 64))
    late = stored["g_idx"] >= 2
    stored["g_idx"] = torch.where(late, stored["g_idx"] - 4, stored["g_idx"])
    found = one(tmp_path, stored, {})
    same(weight_of(packed_in(found), tmp_path), reference)


@pytest.mark.parametrize(("stored_zero", "form", "zero"), [(15, "gptq", 0), (15, "gptq_v2", 15)])
def test_zero_points_that_borrow(tmp_path, stored_zero, form, zero):
    """GPTQModel subtracts and adds 1 to whole words, so a zero of 0 is the last field's 15."""
    stored, _ = packers.gptq(index=False)(torch.empty(8, 16))
    words = [stored_zero * 2**28 + 0x7777777]
    stored["qzeros"] = torch.tensor([words], dtype=torch.int64).to(torch.int32)
    stored["qweight"] = torch.zeros_like(stored["qweight"])
    found = one(tmp_path, stored, {"quant_method": "gptq", "bits": 4, "checkpoint_format": form})
    weight = weight_of(packed_in(found), tmp_path)
    assert torch.equal(weight[7], torch.full((16,), -float(zero)) * stored["scales"][0, 7].float())


def test_zero_points_that_older_versions_did_not_pack(tmp_path):
    """compressed-tensors wrote a signed byte for each until its pull request 296."""
    pack, config = CASES["packed_4_asymmetric"]
    stored, reference = pack(torch.randn(24, 64))
    from compressed_tensors.compressors.pack_quantized.helpers import unpack_from_int32

    packed = stored["weight_zero_point"]
    stored["weight_zero_point"] = unpack_from_int32(packed, 4, (24, 4), packed_dim=0).contiguous()
    same(weight_of(packed_in(one(tmp_path, stored, config)), tmp_path), reference)


def test_g_idx_of_compressed_tensors(tmp_path):
    """Column i has the scale and zero point of group g_idx[i]."""
    pack, config = CASES["packed_4_asymmetric"]
    stored, reference = pack(torch.randn(24, 64))
    order = torch.randperm(64, generator=torch.Generator().manual_seed(0))
    stored["weight_g_idx"] = (torch.arange(64) // 16)[order].int()
    from compressed_tensors.compressors.pack_quantized.helpers import (
        pack_to_int32,
        unpack_from_int32,
    )

    codes = unpack_from_int32(stored["weight_packed"], 4, (24, 64))
    stored["weight_packed"] = pack_to_int32(codes[:, order].contiguous(), 4)
    found = one(tmp_path, stored, config)
    same(weight_of(packed_in(found), tmp_path), reference[:, order])


@pytest.mark.parametrize(
    ("case", "read"), [("packed_4_symmetric", 0), ("packed_4_symmetric_channel", 14)]
)
def test_shapes_are_read_only_where_groups_do_not_tell(tmp_path, case, read, monkeypatch):
    """On the Hub every reading is a request, and a MoE has tens of thousands of weights."""
    pack_family("llama", tmp_path, *CASES[case])
    source, lengths = open_source(str(tmp_path)), []
    original = type(source).read_bytes

    def counted(self, file, start, end):
        lengths.append(end - start)
        return original(self, file, start, end)

    monkeypatch.setattr(type(source), "read_bytes", counted)
    outline(source)
    assert lengths.count(16) == read


def test_scales_of_activations_are_no_packing(tmp_path):
    """AWQ stores them for models such as Falcon and MPT."""
    stored, reference = packers.awq()(torch.empty(32, 64))
    found = one(tmp_path, {**stored, "act.scales": torch.ones(64).half()}, CONFIGS["awq"])
    same(weight_of(packed_in(found), tmp_path), reference)


def test_other_storage_types_of_4_bits(tmp_path):
    """FSDP wants packed bytes to look like floats (bnb_4bit_quant_storage)."""
    stored, reference = packers.bnb_4bit("nf4", True)(torch.randn(32, 64))
    stored["weight"] = stored["weight"].reshape(-1).view(torch.bfloat16)[:, None]
    found = one(tmp_path, stored, CONFIGS["bnb"])
    same(weight_of(packed_in(found), tmp_path), reference)
