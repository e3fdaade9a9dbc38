"""Local models as users have them: whole, sharded, broken, hostile."""

import json
import os

import pytest
import torch
from safetensors.torch import load_file, save_file

from analyzer.checkpoint import INDEX
from analyzer.errors import (
    BadModel,
    MissingShard,
    ModelNotFound,
    NothingToAnalyse,
    UnreadableFile,
    UnsupportedFormat,
)
from analyzer.scan import outline
from analyzer.source import open_source
from analyzer.store import FolderStore
from tests.families import save_family


@pytest.fixture
def llama(tmp_path):
    save_family("llama", tmp_path)
    return tmp_path


def shard(folder) -> list[str]:
    """Save the model again in small shards with an index, by transformers."""
    from transformers import AutoModelForCausalLM

    model = AutoModelForCausalLM.from_pretrained(folder)
    (folder / "model.safetensors").unlink()
    model.save_pretrained(folder, max_shard_size="20KB")
    names = sorted(path.name for path in folder.glob("*.safetensors"))
    assert len(names) > 2
    return names


def test_shards_give_the_same_outline(llama):
    whole = outline(open_source(str(llama)))
    names = shard(llama)
    sharded = outline(open_source(str(llama)))
    assert sharded.files == tuple(names)
    assert [m.name for m in sharded.matrices] == [m.name for m in whole.matrices]
    (llama / INDEX).unlink()  # the numbers in the names do without it
    assert outline(open_source(str(llama))).matrices == sharded.matrices


def test_one_file_without_config(llama, tmp_path_factory):
    alone = tmp_path_factory.mktemp("alone") / "weights.safetensors"
    (llama / "model.safetensors").rename(alone)
    found = outline(open_source(str(alone)))
    assert found.model_type is None
    assert found.stacks[0].layers == 2
    assert sum(m.role == "adaptable" for m in found.matrices) == 14


def test_gpt2_without_config_is_seen_to_be_transposed(tmp_path):
    save_family("gpt2", tmp_path)
    (tmp_path / "config.json").unlink()
    found = outline(open_source(str(tmp_path)))
    shapes = {(m.module, m.part): m.shape for m in found.matrices if m.layer == 0}
    assert shapes["mlp.c_fc", None] == (128, 32)
    assert shapes["attn.c_attn", "q"] == (32, 32)


def test_missing_shards_are_named(llama):
    names = shard(llama)
    (llama / names[1]).unlink()
    with pytest.raises(MissingShard, match=names[1]):
        open_source(str(llama))
    (llama / INDEX).unlink()
    with pytest.raises(MissingShard, match=names[1]):
        open_source(str(llama))


def test_an_index_that_disagrees_with_its_files(llama):
    names = shard(llama)
    index = json.loads((llama / INDEX).read_text())
    index["weight_map"]["model.layers.9.mlp.up_proj.weight"] = names[0]
    (llama / INDEX).write_text(json.dumps(index))
    with pytest.raises(UnreadableFile, match=r"model\.layers\.9\.mlp\.up_proj\.weight"):
        outline(open_source(str(llama)))


def test_a_tensor_in_two_files(llama):
    names = shard(llama)
    (llama / INDEX).unlink()
    (llama / names[1]).write_bytes((llama / names[0]).read_bytes())
    with pytest.raises(BadModel, match=f"both in {names[0]} and in {names[1]}"):
        outline(open_source(str(llama)))


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("{", "cannot be used"),
        ("[]", "not a JSON object"),
        ("{}", "weight_map"),
        ('{"weight_map": {"a": "../../secret.safetensors"}}', "no file beside it"),
        ('{"weight_map": {"a": "model.bin"}}', "no file beside it"),
    ],
)
def test_a_bad_index_is_refused(llama, content, message):
    (llama / INDEX).write_text(content)
    with pytest.raises(UnreadableFile, match=message):
        open_source(str(llama))


@pytest.mark.parametrize("content", ["{", "[1]", "\0", "1" * 1_100_000])
def test_a_bad_config_is_refused(llama, content):
    (llama / "config.json").write_text(content)
    with pytest.raises(UnreadableFile, match=r"config\.json"):
        outline(open_source(str(llama)))


@pytest.mark.parametrize("keep", [0, 4, 100, -1])
def test_truncated_files_are_refused(llama, keep):
    path = llama / "model.safetensors"
    path.write_bytes(path.read_bytes()[:keep])
    with pytest.raises(UnreadableFile, match=r"model\.safetensors"):
        outline(open_source(str(llama)))


def test_models_that_are_not_there(tmp_path):
    for name in (str(tmp_path / "no"), "../etc", "no such model"):
        with pytest.raises(ModelNotFound, match="does not exist"):
            open_source(name)
    with pytest.raises(ModelNotFound, match="holds no .safetensors"):
        open_source(str(tmp_path))
    (tmp_path / "notes.txt").touch()
    with pytest.raises(ModelNotFound, match="not a .safetensors file"):
        open_source(str(tmp_path / "notes.txt"))
    for name in ("a.safetensors", "b.safetensors"):
        save_file({"x": torch.zeros(1)}, tmp_path / name)
    with pytest.raises(ModelNotFound, match="pass one of them"):
        open_source(str(tmp_path))


def test_pickles_are_refused(tmp_path):
    (tmp_path / "pytorch_model.bin").touch()
    for path in (tmp_path, tmp_path / "pytorch_model.bin"):
        with pytest.raises(UnsupportedFormat, match="run code"):
            open_source(str(path))


def test_a_pipe_is_refused_and_not_waited_for(tmp_path):
    os.mkfifo(tmp_path / "model.safetensors")
    with pytest.raises(UnreadableFile, match="not a regular file"):
        outline(open_source(str(tmp_path)))


def test_nothing_to_analyse(tmp_path):
    save_file({"embed.weight": torch.zeros(4, 4)}, tmp_path / "model.safetensors")
    with pytest.raises(NothingToAnalyse, match="no linear weight inside"):
        outline(open_source(str(tmp_path)))


def test_an_adapter_is_no_model(tmp_path):
    names = [f"base_model.model.model.layers.{n}.self_attn.q_proj.lora_A.weight" for n in (0, 1)]
    save_file({name: torch.zeros(4, 4) for name in names}, tmp_path / "adapter_model.safetensors")
    with pytest.raises(NothingToAnalyse, match="adapter"):
        outline(open_source(str(tmp_path)))


def test_layers_that_lack_weights(llama):
    config = json.loads((llama / "config.json").read_text())
    (llama / "config.json").write_text(json.dumps({**config, "num_hidden_layers": 3}))
    with pytest.raises(BadModel, match="3 layers, but the weights hold 2"):
        outline(open_source(str(llama)))
    (llama / "config.json").write_text(json.dumps({**config, "num_hidden_layers": 1}))
    found = outline(open_source(str(llama)))
    assert {m.layer for m in found.matrices if m.stack} == {0}
    assert any(tensor.code == "extra_layer" for tensor in found.skipped)


def test_a_multi_token_prediction_head_is_no_stack(llama):
    weights = load_file(llama / "model.safetensors")
    weights["mtp.layers.0.mlp.up_proj.weight"] = torch.zeros(48, 32)
    save_file(weights, llama / "model.safetensors")
    found = outline(open_source(str(llama)))
    assert [stack.name for stack in found.stacks] == ["text"]
    assert found.stacks[0].layers == 2


def test_convolutions_make_no_stack(tmp_path):
    weights = {f"encoder.layers.{n}.fc.weight": torch.zeros(8, 8) for n in range(2)}
    weights |= {f"features.conv_layers.{n}.conv.weight": torch.zeros(8, 8, 3) for n in range(3)}
    save_file(weights, tmp_path / "model.safetensors")
    assert [s.prefix for s in outline(open_source(str(tmp_path))).stacks] == ["encoder.layers"]


def test_beside_a_whole_file_the_index_is_ignored_as_by_transformers(llama):
    whole = (llama / "model.safetensors").read_bytes()
    shard(llama)
    (llama / "model.safetensors").write_bytes(whole)
    assert open_source(str(llama)).files == ["model.safetensors"]


def test_a_gap_in_the_layers(tmp_path):
    weights = {f"model.layers.{n}.mlp.up_proj.weight": torch.zeros(4, 4) for n in (0, 2)}
    save_file(weights, tmp_path / "model.safetensors")
    with pytest.raises(BadModel, match="no weights for layer 1"):
        outline(open_source(str(tmp_path)))


@pytest.mark.parametrize(
    ("tensors", "name"),
    [
        ({"qweight": torch.zeros(4, 4, dtype=torch.int32)}, "qzeros is missing"),
        ({"weight": torch.zeros(8, 1, dtype=torch.uint8)}, "U8 weights"),
    ],
)
def test_quantised_weights_are_seen_and_not_misread(tmp_path, tensors, name):
    from analyzer.selection import select

    prefix = "model.layers.0.self_attn.q_proj."
    save_file({prefix + leaf: t for leaf, t in tensors.items()}, tmp_path / "model.safetensors")
    found = outline(open_source(str(tmp_path)))
    assert found.quantisation == "packed weights"
    with pytest.raises(UnsupportedFormat, match=name):
        select(found)


def test_the_declared_quantisation_is_named(llama):
    from analyzer.selection import select

    config = json.loads((llama / "config.json").read_text())
    config["quantization_config"] = {"quant_method": "gptq", "bits": 4}
    (llama / "config.json").write_text(json.dumps(config))
    with pytest.raises(UnsupportedFormat, match="gptq"):
        select(outline(open_source(str(llama))))


def test_a_file_that_changes_under_us(llama):
    source = open_source(str(llama))
    outline(source)
    path = llama / "model.safetensors"
    path.write_bytes(path.read_bytes())
    os.utime(path, ns=(1, 1))
    with pytest.raises(UnreadableFile, match="changed while it was read"):
        source.fetch("model.safetensors", 0, 8)
    with pytest.raises(UnreadableFile, match="changed while it was read"):
        source.sha256("model.safetensors")


def test_a_file_that_changes_while_it_is_hashed(llama, monkeypatch):
    import hashlib

    original = hashlib.file_digest

    def slow(stream, name):
        os.utime(llama / "model.safetensors", ns=(1, 1))
        return original(stream, name)

    monkeypatch.setattr(hashlib, "file_digest", slow)
    with pytest.raises(UnreadableFile, match="changed while it was read"):
        open_source(str(llama)).sha256("model.safetensors")


def test_hashes_are_remembered_until_the_file_changes(llama, own_cache):
    import hashlib

    path = llama / "model.safetensors"
    memory = FolderStore(own_cache)
    os.utime(path, ns=(10**18, 10**18))

    def hashed() -> str:
        return open_source(str(llama), memory).sha256("model.safetensors")

    first = hashlib.sha256(path.read_bytes()).hexdigest()
    assert hashed() == first
    flipped = bytearray(path.read_bytes())
    flipped[-1] ^= 1
    with path.open("r+b") as stream:
        stream.write(flipped)
    os.utime(path, ns=(10**18, 10**18))
    assert hashed() == first, "the same identity is believed"
    os.utime(path, ns=(10**18, 10**18 + 1))
    assert hashed() == hashlib.sha256(flipped).hexdigest()


def test_a_fresh_file_is_hashed_again(llama, own_cache):
    """Two writes within the clock's grain share an mtime, so a fresh hash is not remembered."""
    open_source(str(llama), FolderStore(own_cache)).sha256("model.safetensors")
    assert not list(own_cache.rglob("*.sha256"))
