"""The libraries of the Hub, unchanged and in processes of their own, work against the double."""

import hashlib
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from tests.families import save_family
from tests.hub.server import HubDouble

HEAD = """
import json, sys
import huggingface_hub as hf
from huggingface_hub import errors
api = hf.HfApi()
def show(value): print(json.dumps(value))
def error(call, *args, **options):
    try:
        call(*args, **options)
    except Exception as error:
        return [cls.__name__ for cls in type(error).__mro__]
"""


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    """A folder with small and large files and one more folder."""
    folder = tmp_path_factory.mktemp("model")
    save_family("llama", folder)
    (folder / "notes").mkdir()
    (folder / "notes/read me.md").write_text("# α\n")
    return folder


@pytest.fixture
def hub():
    with HubDouble() as hub:
        yield hub


@pytest.fixture
def client(hub, tmp_path):
    """Run code in a process that knows only the double; what it shows last is returned."""

    def run(code: str, **variables: str):
        inherited = {name: value for name, value in os.environ.items() if name != "HF_TOKEN"}
        found = subprocess.run(
            [sys.executable, "-c", HEAD + code],
            env={**inherited, **hub.environment(tmp_path / "home"), **variables},
            capture_output=True,
            text=True,
        )
        assert found.returncode == 0, found.stderr
        return json.loads(found.stdout.splitlines()[-1])

    return run


def test_model_info(hub, client, model):
    commit = hub.add("org/name", model, tag="v1")
    info = client(
        "info = api.model_info('org/name', files_metadata=True)\n"
        "old = api.model_info('org/name', revision='v1')\n"
        "show([info.id, info.sha, old.sha, info.private, info.gated, info.created_at.year,\n"
        "      {s.rfilename: [s.size, s.blob_id, s.lfs and s.lfs.sha256] for s in info.siblings}])"
    )
    assert info[:6] == ["org/name", commit, commit, False, False, 2024]
    weights, config = (model / "model.safetensors"), (model / "config.json")
    sha256 = hashlib.sha256(weights.read_bytes()).hexdigest()
    assert info[6]["model.safetensors"][::2] == [weights.stat().st_size, sha256]
    git = subprocess.run(["git", "hash-object", config], capture_output=True, text=True)
    assert info[6]["config.json"] == [config.stat().st_size, git.stdout.strip(), None]


def test_listings_come_in_pages(hub, client, model):
    hub.add("org/name", model)
    hub.page_size = 2
    files, top, notes, infos = client(
        "files = api.list_repo_files('org/name')\n"
        "top = [e.path for e in api.list_repo_tree('org/name', expand=True)]\n"
        "notes = [e.path for e in api.list_repo_tree('org/name', 'notes')]\n"
        "infos = api.get_paths_info('org/name', ['notes', 'model.safetensors', 'none'])\n"
        "show([files, top, notes, [[type(e).__name__, e.path] for e in infos]])"
    )
    expected = ["config.json", "generation_config.json", "model.safetensors", "notes/read me.md"]
    assert [name for name in files if name in expected] == expected
    assert top == sorted({name.split("/")[0] for name in files})
    assert notes == ["notes/read me.md"]
    assert infos == [["RepoFolder", "notes"], ["RepoFile", "model.safetensors"]]
    assert sum("cursor=" in record.path for record in hub.requests) >= 2


def test_references_name_commits(hub, client, model, tmp_path):
    first = hub.add("org/name", model, tag="v1")
    (tmp_path / "new.txt").write_text("2")
    second = hub.add("org/name", tmp_path)
    third = hub.add("org/name", model, branch="feature/a")
    assert len(first) == 40
    assert first == third != second
    found = client(
        "refs = api.list_repo_refs('org/name')\n"
        "show([[r.name, r.ref, r.target_commit] for r in refs.branches + refs.tags]\n"
        "   + [api.model_info('org/name', revision=r).sha\n"
        "      for r in ('feature/a', 'refs/heads/main', refs.tags[0].target_commit)])"
    )
    assert found == [
        ["main", "refs/heads/main", second],
        ["feature/a", "refs/heads/feature/a", first],
        ["v1", "refs/tags/v1", first],
        first,
        second,
        first,
    ]
    assert any("feature%2Fa" in record.path for record in hub.requests)


@pytest.mark.parametrize("revision", ["commit", "main", "v1"])
def test_downloads(hub, client, model, revision):
    commit = hub.add("org/name", model, tag="v1")
    hub.tokens["hf_a"] = "alice"
    revision = commit if revision == "commit" else revision
    paths = client(
        f"show([hf.hf_hub_download('org/name', name, revision={revision!r}, token='hf_a')\n"
        "      for name in ('config.json', 'model.safetensors', 'notes/read me.md')])"
    )
    for path in paths:
        name = path.split(f"/{commit}/")[1]
        assert Path(path).read_bytes() == (model / name).read_bytes()
    [stored] = [record for record in hub.requests if record.origin == "cdn"]
    assert not stored.authorised
    assert all(r.authorised for r in hub.requests if r.origin == "hub" and "resolve" in r.path)
    assert stored.bytes_sent == (model / "model.safetensors").stat().st_size
    assert hub.bytes_served("read me") == (model / "notes/read me.md").stat().st_size


def test_snapshots_of_models_and_datasets(hub, client, model):
    hub.add("org/name", model)
    hub.add("name", model, type="dataset")
    found = client(
        "from pathlib import Path\n"
        "folders = [hf.snapshot_download('org/name'),\n"
        "           hf.snapshot_download('name', repo_type='dataset')]\n"
        "show([sum(p.stat().st_size for p in Path(f).rglob('*') if p.is_file())"
        " for f in folders])"
    )
    size = sum(path.stat().st_size for path in model.rglob("*") if path.is_file())
    assert found == [size, size]


def test_safetensors_metadata_and_file_system(hub, client, model):
    hub.add("org/name", model)
    names, part, listed = client(
        "metadata = hf.get_safetensors_metadata('org/name')\n"
        "fs = hf.HfFileSystem()\n"
        "with fs.open('org/name/model.safetensors', 'rb', block_size=1000) as file:\n"
        "    file.seek(5000); part = file.read(300)\n"
        "listed = sorted(fs.glob('org/name/**/*.md'))\n"
        "names = sorted(metadata.files_metadata['model.safetensors'].tensors)\n"
        "show([names, part.hex(), listed])"
    )
    assert names == sorted(load_file(model / "model.safetensors"))
    assert bytes.fromhex(part) == (model / "model.safetensors").read_bytes()[5000:5300]
    assert "org/name/notes/read me.md" in listed
    asked = [record for record in hub.requests if record.range and record.origin == "cdn"]
    assert {record.status for record in asked} == {206}


def test_who_am_i(hub, client):
    hub.tokens["hf_a"] = "alice"
    name, wrong = client("show([api.whoami('hf_a')['name'], error(api.whoami, 'hf_b')])")
    assert name == "alice"
    assert "HfHubHTTPError" in wrong


def test_errors_are_those_of_the_library(hub, client, model):
    hub.tokens |= {"hf_a": "alice", "hf_b": "bob"}
    hub.add("org/open", model)
    hub.add("org/private", model, private={"alice"})
    hub.add("org/gated", model, gated={"alice"})
    found = client(
        "get = lambda *args, **options: error(hf.hf_hub_download, *args, **options)\n"
        "cases = {\n"
        "  'missing': get('org/none', 'config.json'),\n"
        "  'missing info': error(api.model_info, 'org/none'),\n"
        "  'wrong type': error(api.dataset_info, 'org/open'),\n"
        "  'private': get('org/private', 'config.json', token=False),\n"
        "  'private, bob': get('org/private', 'config.json', token='hf_b'),\n"
        "  'private, alice': get('org/private', 'config.json', token='hf_a'),\n"
        "  'gated': get('org/gated', 'config.json'),\n"
        "  'gated, bob': get('org/gated', 'model.safetensors', token='hf_b'),\n"
        "  'gated, alice': get('org/gated', 'model.safetensors', token='hf_a'),\n"
        "  'gated info': error(api.model_info, 'org/gated'),\n"
        "  'revision': get('org/open', 'config.json', revision='none'),\n"
        "  'entry': get('org/open', 'none.json'),\n"
        "  'folder': error(lambda: list(api.list_repo_tree('org/open', 'none'))),\n"
        "  'token': get('org/open', 'config.json', token='hf_none'),\n"
        "}\n"
        "show({name: mro and mro[0] for name, mro in cases.items()})"
    )
    assert found == {
        "missing": "RepositoryNotFoundError",
        "missing info": "RepositoryNotFoundError",
        "wrong type": "RepositoryNotFoundError",
        "private": "RepositoryNotFoundError",
        "private, bob": "RepositoryNotFoundError",
        "private, alice": None,
        "gated": "GatedRepoError",
        "gated, bob": "GatedRepoError",
        "gated, alice": None,
        "gated info": None,
        "revision": "RevisionNotFoundError",
        "entry": "RemoteEntryNotFoundError",
        "folder": "RemoteEntryNotFoundError",
        "token": "HfHubHTTPError",
    }


def test_transformers_loads_a_model(hub, client, model):
    hub.add("org/name", model)
    kind, total = client(
        "from transformers import AutoConfig, AutoModelForCausalLM\n"
        "model = AutoModelForCausalLM.from_pretrained('org/name')\n"
        "show([AutoConfig.from_pretrained('org/name').model_type,\n"
        "      sum(p.double().sum().item() for p in model.parameters())])"
    )
    weights = load_file(model / "model.safetensors")
    assert kind == "llama"
    assert total == pytest.approx(sum(t.to(torch.float64).sum().item() for t in weights.values()))
    unknown = [r.path for r in hub.requests if r.status == 404 and "/api/models" not in r.path]
    assert all("resolve" in path or path.startswith("/api/") for path in unknown)


def test_a_process_of_its_own(model):
    command = [sys.executable, "-m", "tests.hub", str(model), "--name", "a/b", "--rate", "1e9"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        endpoint, commit = process.stdout.readline().split()
        code = f"import huggingface_hub as hf; print(hf.HfApi({endpoint!r}).model_info('a/b').sha)"
        variables = {**os.environ, "HF_HUB_OFFLINE": "0", "NO_PROXY": "127.0.0.1"}
        found = subprocess.run(
            [sys.executable, "-c", code], env=variables, capture_output=True, text=True
        )
        process.terminate()
    assert found.stdout.split() == [commit]
