"""Reading from the Hub: the same numbers as from a folder, few bytes, and who may read."""

import hashlib
import json
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file

from analyzer.errors import (
    AccessDenied,
    CorruptFile,
    ModelNotFound,
    UnreadableFile,
    UnsupportedFormat,
)
from analyzer.hub.settings import HubSettings
from analyzer.scan import outline
from analyzer.source import open_source
from analyzer.store import FolderStore
from tests.analyzer.hubs import SHARDS, alphas, digest, kept, run
from tests.families import save_family
from tests.hub import actions
from tests.hub.faults import Fault
from tests.models import write_sharded


def test_verified_and_ranged_equal_the_folder(hub, connect, local, tmp_path):
    for ranged in (False, True):
        found = run(connect(), FolderStore(tmp_path / str(ranged)), ranged=ranged)
        assert digest(found) == digest(local)
        assert found.provenance.verified is not ranged
        assert alphas(found) == alphas(local)
        assert found.weights == local.weights
        assert found.revision is not None
        assert len(found.revision) == 40
        assert set(found.provenance.bytes_read) == {"hub"}


def test_bytes_served(hub, connect, local, model, store):
    """Verified: every shard once. Ranged: the matrices and the headers. A second run: nothing."""
    shards = sum(path.stat().st_size for path in model.glob("*.safetensors"))
    run(connect(), store, ranged=False)
    assert shards <= hub.bytes_served(SHARDS) <= shards + 6 * 32_768
    hub.clear()
    again = run(connect(), store, ranged=False)
    assert hub.bytes_served(SHARDS) <= 6 * 32_768
    assert again.provenance.spectra_solved == 0
    assert again.provenance.verified
    store.clear()
    hub.clear()
    run(connect(), store, ranged=True)
    wanted = sum(matrix.bytes for matrix in local.matrices)
    assert wanted <= hub.bytes_served(SHARDS) <= wanted + 6 * 32_768


def test_the_larger_part_of_a_file_is_read_whole(hub, connect, store, local):
    assert run(connect(), store).provenance.verified
    store.clear()
    small = run(connect(), store, modules="q_proj")
    assert not small.provenance.verified
    assert any("not checked" in warning for warning in small.warnings)
    hub.clear()
    checked = run(connect(), store, modules="q_proj", ranged=False)
    assert checked.provenance.verified
    assert checked.provenance.spectra_solved == 0, "the same bytes are not solved again"
    assert alphas(checked) == alphas(small)


def test_local_and_remote_share_spectra(hub, connect, model, store):
    run(open_source(str(model)), store)
    hub.clear()
    assert run(connect(), store).provenance.spectra_solved == 0
    assert hub.bytes_served(r"/cdn/") <= 6 * 32_768


def test_who_may_not_read_is_told_what_to_do(hub, connect, model):
    hub.add("org/private", model, private=True)
    hub.add("org/gated", model, gated=True)
    hub.tokens["hf_mine"] = "me"
    cases = [
        ("org/private", None, ModelNotFound, "set HF_TOKEN to a token with read access"),
        ("org/private", "hf_bad", AccessDenied, "refuses the token"),
        ("org/gated", None, AccessDenied, "accept its conditions at .* and set HF_TOKEN"),
        ("org/gated", "hf_mine", AccessDenied, "Read access to contents of all public gated"),
        ("org/none", "hf_mine", ModelNotFound, "org/none is not at"),
        ("org/model@v9", None, ModelNotFound, "has no revision v9"),
    ]
    for name, token, error, words in cases:
        with pytest.raises(error, match=words) as raised:
            outline(connect(name, token=token))
        assert "hf_" not in str(raised.value).replace("hf_hub", "")


def test_a_private_model_with_its_token(hub, connect, model, store, local):
    hub.add("org/private", model, private={"me"})
    hub.tokens["hf_mine"] = "me"
    found = run(connect("org/private", token="hf_mine"), store)
    assert digest(found) == digest(local)
    assert all(record.authorised == (record.origin == "hub") for record in hub.requests)
    assert "hf_mine" not in found.model_dump_json()
    assert "hf_mine" not in repr(HubSettings("http://x", Path(), "hf_mine"))


def test_models_without_safetensors(hub, connect, tmp_path):
    (tmp_path / "pickled").mkdir()
    (tmp_path / "pickled" / "pytorch_model.bin").write_bytes(b"x")
    hub.add("org/pickled", tmp_path / "pickled")
    with pytest.raises(UnsupportedFormat, match="run code"):
        connect("org/pickled")
    (tmp_path / "empty").mkdir()
    (tmp_path / "empty" / "README.md").write_text("hello")
    hub.add("org/empty", tmp_path / "empty")
    with pytest.raises(ModelNotFound, match=r"holds no \.safetensors"):
        connect("org/empty")


def test_a_revision_is_pinned_before_anything_is_read(hub, connect, model, tmp_path):
    first = hub.repository("org/model").branches["main"]
    other = tmp_path / "other"
    write_sharded(other, layers=12, width=512, layers_per_shard=3)
    source = connect()
    second = hub.add("org/model", other)
    assert source.revision == first != second
    assert outline(source).files[0].endswith("of-00006.safetensors")
    assert connect("org/model@main").revision == second
    assert connect(f"org/model@{first}").revision == first


def test_small_files_kept_in_git(hub, connect, tmp_path, store):
    save_family("llama", tmp_path / "tiny")
    hub.add("org/tiny", tmp_path / "tiny", lfs=lambda *_: False)
    found = run(connect("org/tiny"), store)
    assert found.provenance.verified
    assert digest_of_folder(tmp_path / "tiny") == found.weights
    hub.faults[:] = [Fault(actions.flip(5_000), path="/resolve/")]
    with pytest.raises(CorruptFile, match="not what its commit names"):
        outline(connect("org/tiny"))


def digest_of_folder(folder) -> tuple[str, ...]:
    files = folder.glob("*.safetensors")
    return tuple(sorted(hashlib.sha256(path.read_bytes()).hexdigest() for path in files))


def test_a_quantised_model_from_the_hub(hub, connect, tmp_path, store):
    """What describes a packing is read early, and compared when the file is checked."""
    import bitsandbytes.functional as bnb

    tensors = {}
    for layer in range(3):
        weight = torch.randn(64, 64)
        packed, state = bnb.quantize_4bit(weight, blocksize=64, quant_type="nf4")
        name = f"model.layers.{layer}.self_attn.q_proj.weight"
        tensors[name] = packed
        tensors |= {f"{name}.{k}": v for k, v in state.as_dict(packed=True).items()}
    folder = tmp_path / "nf4"
    folder.mkdir()
    save_file(tensors, folder / "model.safetensors")
    config = {"quantization_config": {"quant_method": "bitsandbytes", "load_in_4bit": True}}
    (folder / "config.json").write_text(json.dumps({"model_type": "llama", **config}))
    hub.add("org/nf4", folder)
    found = run(connect("org/nf4"), store, ranged=False)
    assert found.provenance.verified
    assert alphas(found) == alphas(run(open_source(str(folder)), FolderStore(tmp_path / "s")))
    facts = open_source(str(folder)).tensors("model.safetensors")
    state = next(info for info in facts if "quant_state" in info.name)
    store.clear()
    # Read once with the header, once as a fact, once with the whole file: the fact is wrong.
    hub.faults[:] = [Fault(actions.flip(state.start + 30), path="^/cdn", skip=1, times=1)]
    with pytest.raises((CorruptFile, UnreadableFile, UnsupportedFormat)):
        run(connect("org/nf4"), store, ranged=False)
    assert hub.faults[0].fired == 1
    assert kept(store) == []


def test_a_run_goes_on_as_it_began(connect, store):
    """What is wanted decides how a file is read, not what happens to be missing."""
    run(connect(), store)
    entries = [entry for entry in store.entries() if ".0.mlp" in entry.key.matrix]
    store.remove(entries[0])
    found = run(connect(), store)
    assert found.provenance.verified
    assert found.provenance.spectra_solved == 1


def test_hundreds_of_shards(hub, connect, tmp_path, store):
    folder = tmp_path / "shards"
    write_sharded(folder, layers=200, width=16)
    hub.add("org/shards", folder)
    found = run(connect("org/shards"), store, ranged=False)
    assert found.provenance.verified
    assert alphas(found) == alphas(run(open_source(str(folder)), FolderStore(tmp_path / "own")))
    assert len(found.matrices) == 800
