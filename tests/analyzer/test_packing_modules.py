"""Single packed weights: variants of the formats that no whole model shows."""

import pytest
import torch

from analyzer.scan import outline
from analyzer.source import open_source
from tests.analyzer import packers
from tests.analyzer.packed import (
    CASES,
    CONFIGS,
    NVFP4,
    compressed,
    one,
    pack_family,
    packed_in,
    same,
    weight_of,
)


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
