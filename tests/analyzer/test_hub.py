"""Reading from the Hub: the same numbers as from a folder, few bytes, and no trust."""

import json
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file

from allocator.planner import plan
from analyzer.analyze import analyze
from analyzer.errors import (
    AccessDenied,
    CorruptFile,
    HubUnavailable,
    ModelNotFound,
    UnreadableFile,
    UnsupportedFormat,
)
from analyzer.hub.open import open_hub
from analyzer.hub.settings import HubSettings
from analyzer.options import Options
from analyzer.scan import outline
from analyzer.source import open_source
from analyzer.store import FolderStore
from tests.families import save_family
from tests.hub import actions
from tests.hub.faults import Fault
from tests.hub.server import HubDouble
from tests.models import write_sharded

SHARDS = r"^/cdn/"
SMALL_REQUESTS = 16_000_000


@pytest.fixture(scope="module")
def model(tmp_path_factory) -> Path:
    """12 layers of 4 matrices, 25 MB in 6 shards."""
    folder = tmp_path_factory.mktemp("model")
    write_sharded(folder, layers=12, width=512, layers_per_shard=2)
    return folder


@pytest.fixture
def hub(model):
    with HubDouble() as hub:
        hub.add("org/model", model)
        yield hub


@pytest.fixture
def store(own_cache) -> FolderStore:
    return FolderStore(own_cache)


@pytest.fixture
def connect(hub, tmp_path):
    """A source of the double, opened anew at each call."""

    def opened(name="org/model", **settings):
        given = {"endpoint": hub.endpoint, "cache": tmp_path / "hub", "timeout": 2.0, **settings}
        return open_hub(name, None, HubSettings(**given))

    return opened


def digest(analysis) -> str:
    return plan(analysis, budget=36).digest


def run(source, store, **options):
    return analyze(source, Options(scope="adaptable", **options), store=store)


@pytest.fixture(scope="module")
def local(model, tmp_path_factory):
    """The analysis of the folder itself."""
    return run(open_source(str(model)), FolderStore(tmp_path_factory.mktemp("store")))


def alphas(analysis) -> list[float]:
    return [matrix.fits["hill"].alpha for matrix in analysis.matrices]


def kept(store) -> list[str]:
    return [entry.key.matrix for entry in store.entries()]


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


def test_a_folder_believes_no_unchecked_spectrum(hub, connect, model, store, local):
    """A bit that flipped in a ranged run does no harm to those who have the file."""
    outlined = outline(connect())
    tensor = outlined.matrices[0]
    info = next(i for i in open_source(str(model)).tensors(tensor.file) if i.name == tensor.tensor)
    hub.faults.append(Fault(actions.flip(info.start + 101, bit=6), path="00001-of"))
    wrong = run(connect(), store, ranged=True)
    assert hub.faults[0].fired
    assert alphas(wrong) != alphas(local)
    found = run(open_source(str(model)), store)
    assert found.provenance.verified
    assert alphas(found) == alphas(local)
    assert found.provenance.spectra_solved == 1, "equal bytes are not solved again"
    assert run(open_source(str(model)), store).provenance.spectra_solved == 0


@pytest.mark.parametrize("rate", [0.05, 0.2])
@pytest.mark.parametrize("ranged", [False, True])
def test_errors_of_the_hub_change_nothing(hub, connect, store, local, rate, ranged):
    kinds = [
        actions.status(503), actions.status(429, Retry_After="0"), actions.reset(),
        actions.cut(300_000), actions.hang(100_000), actions.reset(200_000),
    ]  # fmt: skip
    share = 1 - (1 - rate) ** (1 / len(kinds))
    hub.faults += [
        Fault(kind, path="org/model|^/cdn", rate=share, seed=number)
        for number, kind in enumerate(kinds)
    ]
    found = run(connect(timeout=0.5), store, ranged=ranged, memory=SMALL_REQUESTS)
    assert digest(found) == digest(local)
    assert alphas(found) == alphas(local)
    assert sum(fault.fired for fault in hub.faults) >= (1 if rate < 0.1 else 5)


def test_a_hub_that_fails_too_often_is_named(hub, connect, store, monkeypatch):
    monkeypatch.setattr("analyzer.hub.retry.LONGEST_PAUSE", 0.05)
    source = connect()
    outline(source)
    hub.faults.append(Fault(actions.status(500), path="^/cdn"))
    with pytest.raises(HubUnavailable, match="answers 500, 6 times; run again later"):
        run(source, store, ranged=False)
    assert hub.faults[0].fired >= 6


def test_what_was_solved_before_the_network_failed_is_kept(hub, connect, store, monkeypatch):
    monkeypatch.setattr("analyzer.hub.retry.LONGEST_PAUSE", 0.05)
    source = connect()
    outline(source)
    hub.faults.append(Fault(actions.status(500), path="^/cdn", skip=14))
    with pytest.raises(HubUnavailable):
        run(source, store, ranged=False, memory=SMALL_REQUESTS)
    before = len(kept(store))
    assert before > 0
    hub.faults.clear()
    found = run(connect(), store, ranged=False)
    assert found.provenance.verified
    assert found.provenance.spectra_reused == before
    assert found.provenance.spectra_solved == 48 - before


@pytest.mark.parametrize("offset", [9, 40, 3_000, 1_000_000, 2_500_000])
def test_flipped_bits_are_always_seen_when_files_are_read_whole(hub, connect, store, offset):
    """In the header's length, its JSON, a tensor: at every reading, or after the first one."""
    for skip in (0, 1):
        hub.faults[:] = [Fault(actions.flip(offset), path="^/cdn", skip=skip)]
        with pytest.raises((CorruptFile, HubUnavailable, Exception)) as raised:
            run(connect(), store, ranged=False)
        assert raised.type.__module__ == "analyzer.errors"
        assert hub.faults[0].fired
        assert kept(store) == []


@pytest.mark.parametrize("ranged", [False, True])
@pytest.mark.parametrize("etag", [None, '"another"'])
def test_a_swapped_object_is_seen(hub, connect, store, model, ranged, etag):
    other = next(iter(model.glob("*00006.safetensors"))).read_bytes()
    other = other if etag else other + b"longer"
    hub.faults.append(Fault(actions.swap(other, etag=etag), path="^/cdn", skip=8))
    with pytest.raises(CorruptFile):
        run(connect(), store, ranged=ranged, memory=SMALL_REQUESTS)
    assert hub.faults[0].fired
    assert kept(store) == [] or ranged


@pytest.mark.parametrize("ranged", [False, True])
@pytest.mark.parametrize(
    "lie",
    [
        actions.misrange(start=8), actions.misrange(total=8), actions.ignore_range(),
        actions.resize(extra=100, announce=True), actions.resize(extra=-100, announce=True),
        actions.resize(times=150, announce=True), actions.gzip_bomb(1000 * 1_000_000),
    ],
)  # fmt: skip
def test_lying_answers_leave_no_numbers(hub, connect, store, lie, ranged, monkeypatch):
    monkeypatch.setattr("analyzer.hub.retry.LONGEST_PAUSE", 0.01)
    source = connect()
    outline(source)
    hub.faults.append(Fault(lie, path="^/cdn"))
    with pytest.raises((CorruptFile, HubUnavailable)):
        run(source, store, ranged=ranged)
    assert hub.faults[0].fired
    assert kept(store) == []


@pytest.mark.parametrize("lie", [actions.resize(extra=100), actions.resize(times=150)])
def test_what_follows_the_announced_end_is_not_read(hub, connect, store, local, lie):
    hub.faults.append(Fault(lie, path="^/cdn"))
    assert digest(run(connect(), store, ranged=False)) == digest(local)
    assert hub.faults[0].fired


def test_a_short_wait_is_kept_and_a_long_one_ends_it(hub, connect, store, local):
    hub.faults.append(Fault(actions.status(429, Retry_After="1"), path="^/cdn", times=1))
    assert digest(run(connect(), store)) == digest(local)
    for wait, words in (("86400", "86400 s"), ("Fri, 01 Jan 2100 00:00:00 GMT", "asking to wait")):
        store.clear()
        hub.faults[:] = [Fault(actions.status(503, Retry_After=wait), path="^/cdn")]
        with pytest.raises(HubUnavailable, match=words):
            run(connect(), store)


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


@pytest.mark.parametrize(
    "spoil",
    [
        actions.redirect("http://169.254.169.254/latest"), actions.redirect("http://10.0.0.1/"),
        actions.redirect("https://evil.example/x"), actions.redirect("file:///etc/passwd"),
        actions.redirect(),
    ],
)  # fmt: skip
def test_redirects_out_of_the_hub_are_not_followed(hub, connect, spoil, monkeypatch):
    monkeypatch.setattr("analyzer.hub.retry.LONGEST_PAUSE", 0.01)
    source = connect()
    hub.faults.append(Fault(spoil, path="/resolve/"))
    with pytest.raises(HubUnavailable, match="redirect"):
        outline(source)


def test_a_listing_that_lies(hub, connect):
    hub.faults[:] = [Fault(actions.same_page(), path="/tree/")]
    with pytest.raises(HubUnavailable, match="no end"):
        connect()
    hub.faults[:] = [
        Fault(
            actions.rename("model-00001-of-00006.safetensors", "../../x.safetensors"), path="/tree/"
        )
    ]
    with pytest.raises(Exception, match="00001-of-00006.safetensors, which is not there"):
        connect()


def test_small_files_kept_in_git(hub, connect, tmp_path, store):
    save_family("llama", tmp_path / "tiny")
    hub.add("org/tiny", tmp_path / "tiny", lfs=lambda *_: False)
    found = analyze(connect("org/tiny"), Options(), store=store)
    assert found.provenance.verified
    assert digest_of_folder(tmp_path / "tiny") == found.weights
    hub.faults[:] = [Fault(actions.flip(5_000), path="/resolve/")]
    with pytest.raises(CorruptFile, match="not what its commit names"):
        outline(connect("org/tiny"))


def digest_of_folder(folder) -> tuple[str, ...]:
    import hashlib

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
