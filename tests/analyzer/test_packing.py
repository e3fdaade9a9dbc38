"""Small checkpoints of every packing: what the outline finds, and the weights behind it."""

from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file

from analyzer.api import analyze as analyze_model
from analyzer.eigenvalues import cut
from analyzer.outline import Outline
from analyzer.scan import outline
from analyzer.selection import select
from analyzer.source import open_source
from tests.analyzer import packers
from tests.analyzer.packed import CASES, declare, pack_family, same, weight_of
from tests.families import save_family

FUSED = {
    "phi3": ("gptq_act_order", "awq", "nf4_nested", "fp8_block"),
    "gpt2": ("gptq_4", "nf4", "bnb_int8"),
    "mixtral": ("nf4", "gptq_4"),
}


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
