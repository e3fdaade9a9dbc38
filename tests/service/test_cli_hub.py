"""Plans of models on the Hub: what a user types, what goes over the wire, what an error says."""

import json
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from tests.hub import actions
from tests.hub.server import HubDouble
from tests.models import write_sharded
from tests.service.command import QUICK, document, fails, run, variables
from tests.service.conftest import BUDGET, Online

PLAN = ("plan", "org/model", *BUDGET)
TOKEN = "hf_mine"


@pytest.fixture(scope="module")
def large(tmp_path_factory) -> tuple[Path, int]:
    """25 layers of 4 matrices of 2 MB, 210 MB in 5 shards."""
    folder = tmp_path_factory.mktemp("large")
    return folder, write_sharded(folder, layers=25, width=1024, layers_per_shard=5)


def test_a_model_of_200_mb(large, tmp_path):
    """The same plan from the folder, from whole files and by ranges; no byte more than needed.

    One of four modules: whole files are read whole all the same, ranges only where it lies.
    """
    folder, size = large
    assert size > 200e6
    words = (*BUDGET, "--modules", "down_proj")
    local = document("plan", folder, *words, "--cache", tmp_path / "local")
    wanted = 25 * 1024 * 1024 * 2
    with HubDouble() as hub:
        hub.add("org/model", folder)
        online = Online(hub, tmp_path / "hf")
        for mode, least in (("--verified", size), ("--ranged", wanted)):
            words_here = ("plan", "org/model", *words, mode, "--cache", tmp_path / mode)
            hub.clear()
            plan = document(*words_here, **online.environment)
            assert plan["digest"] == local["digest"]
            assert plan["layers"] == local["layers"]
            assert plan["provenance"]["verified"] is (mode == "--verified")
            print(f"{mode}: {online.served() / least:.4f} of the bytes needed")
            assert least <= online.served() <= 1.02 * least
            hub.clear()
            assert document(*words_here, **online.environment)["digest"] == local["digest"]
            assert online.served() == 5 * 32_768, "headers, and no tensor"


def test_revisions(small, online, tmp_path):
    """A branch, a tag and a commit that are not what main is now."""
    other = tmp_path / "other"
    write_sharded(other, layers=3, width=64)
    commit = online.hub.repository("org/model").branches["main"]
    online.hub.add("org/model", small.folder, branch="old")
    online.hub.add("org/model", other)
    for revision in ("old", "v1", commit):
        name = f"org/model@{revision}"
        plan = document("plan", name, *BUDGET, "--cache", small.store, **online.environment)
        small.check(plan)
        assert plan["model"] == name
        assert plan["revision"] == commit
        assert plan["provenance"]["verified"]
    now = document("inspect", "org/model", **online.environment)
    assert now["stacks"][0]["layers"] == 3
    assert now["revision"] != commit


def test_who_may_not_read_is_told_what_to_do(small, online, tmp_path):
    """Code, and the words that matter: which variable, which scope, which page."""
    hub = online.hub
    hub.add("org/private", small.folder, private=True)
    hub.add("org/gated", small.folder, gated=True)
    hub.tokens[TOKEN] = "me"
    (tmp_path / "pickled").mkdir()
    (tmp_path / "pickled" / "pytorch_model.bin").write_bytes(b"x")
    hub.add("org/pickled", tmp_path / "pickled")
    token = {"HF_TOKEN": TOKEN}
    cases = [
        ("org/gated", {}, 4, ["accept its conditions at", "set HF_TOKEN", "read access"]),
        ("org/gated", token, 4, ["Read access to contents of all public gated repos"]),
        ("org/private", {}, 4, ["set HF_TOKEN to a token with read access"]),
        ("org/private", {"HF_TOKEN": "hf_bad"}, 4, ["refuses the token", "read access"]),
        ("org/none", token, 4, ["org/none is not at", "scope `read`"]),
        ("org/none", {}, 4, ["check the name", "HF_TOKEN"]),
        ("org/model@v9", {}, 4, ["no revision v9", "/commits/main"]),
        ("org/pickled", {}, 5, ["safetensors"]),
        ("org/model", {"HF_HUB_OFFLINE": "1"}, 4, ["HF_HUB_OFFLINE", "hf download"]),
    ]
    for model, changes, code, words in cases:
        environment = {**online.environment, **changes}
        line = fails("plan", model, *BUDGET, code=code, message=words[0], **environment)
        assert all(word in line for word in words), line
        assert "hf_" not in line
    assert online.served() == 0


def test_nobody_answers(tmp_path, online):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        free = taken.getsockname()[1]
    environment = {**online.environment, "HF_ENDPOINT": f"http://127.0.0.1:{free}"}
    message = "org/model: no connection, 6 times; run again later"
    fails(*PLAN, "--out", tmp_path / "plan.json", code=3, message=message, before=QUICK,
          **environment)  # fmt: skip
    assert not (tmp_path / "plan.json").exists()


@pytest.fixture
def downloaded(online) -> Online:
    """The model is in the Hub cache, as huggingface_hub itself puts it there."""
    code = "from huggingface_hub import snapshot_download; snapshot_download('org/model')"
    subprocess.run(
        [sys.executable, "-c", code], check=True, capture_output=True,
        env=variables(**online.environment),
    )  # fmt: skip
    online.hub.clear()
    return online


def test_what_the_hub_cache_has_is_not_read_again(small, downloaded, tmp_path):
    plan = document(*PLAN, "--cache", tmp_path / "store", **downloaded.environment)
    small.check(plan)
    assert plan["provenance"]["verified"]
    assert set(plan["provenance"]["bytes_read"]) == {"hub_cache"}
    assert downloaded.served() == 0
    downloaded.hub.clear()
    offline = {**downloaded.environment, "HF_HUB_OFFLINE": "1"}
    small.check(document(*PLAN, "--cache", small.store, **offline))
    found = document("inspect", "org/model@main", **offline)
    assert found["revision"] == plan["revision"]
    assert downloaded.hub.requests == []


def test_a_damaged_file_in_the_hub_cache(small, downloaded, tmp_path):
    """Online it is named and not used; offline there is no other; it is never touched."""
    cache = downloaded.home / "hub" / "models--org--model"
    shown = next(cache.glob("snapshots/*/model-00003-of-00006.safetensors"))
    blob = shown.resolve()
    spoilt = bytearray(blob.read_bytes())
    spoilt[2_000_000] ^= 1
    blob.write_bytes(spoilt)
    before = {path: path.lstat() for path in sorted(cache.rglob("*"))}
    store = ("--cache", tmp_path / "store")
    found = run(*PLAN, "--json", "-q", *store, **downloaded.environment)
    small.check(json.loads(found.stdout))
    (warning,) = found.stderr.splitlines()
    assert warning.startswith(f"warning: {shown} in the Hub cache is damaged")
    assert blob.stat().st_size <= downloaded.served() <= 1.02 * blob.stat().st_size
    offline = {**downloaded.environment, "HF_HUB_OFFLINE": "1"}
    fails(*PLAN, *store, code=5, message=f"{shown} in the Hub cache is damaged", **offline)
    assert blob.read_bytes() == spoilt
    after = {path: path.lstat() for path in sorted(cache.rglob("*"))}
    assert after.keys() == before.keys()
    assert all(after[path].st_mtime_ns == before[path].st_mtime_ns for path in before)


def test_a_listing_that_is_no_listing(online):
    """Whatever JSON the endpoint sends: one line, no traceback."""
    for change in (lambda page: [1, None], lambda page: {"error": page}, lambda page: 7):
        fault = online.spoil(actions.edit(change), path="/tree/")
        fails("inspect", "org/model", code=4, message="holds no .safetensors", **online.environment)
        assert fault.fired == 1
        online.hub.faults.clear()
