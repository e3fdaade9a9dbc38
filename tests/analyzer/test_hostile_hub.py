"""Hostile files behind the Hub's interface: the same answers as from a folder, and as soon."""

import time

import pytest

from analyzer.errors import AnalyzerError, UnreadableFile
from analyzer.hub.open import open_hub
from analyzer.hub.settings import HubSettings
from analyzer.scan import outline
from analyzer.source import open_source
from tests.hostile import KINDS
from tests.hostile.driver import SECONDS
from tests.hub.server import HubDouble

SERVED = [name for name, kind in KINDS.items() if kind.servable and not kind.soak]


@pytest.fixture(scope="module")
def hub():
    with HubDouble() as hub:
        yield hub


def answer(opened) -> str:
    """The kind of error, or how many matrices were found."""
    try:
        return f"{len(outline(opened()).matrices)} matrices"
    except AnalyzerError as error:
        clean = str(error).isprintable() and len(str(error)) <= 500
        kind = "UnreadableFile" if isinstance(error, UnreadableFile) else type(error).__name__
        return kind if clean else f"an unclean message: {error!r}"


@pytest.mark.parametrize("name", SERVED)
def test_the_hub_serves_what_a_folder_holds(hub, name, tmp_path):
    folder = tmp_path / "model"
    folder.mkdir()
    KINDS[name].build(folder)
    repository = f"org/kind-{SERVED.index(name)}"
    hub.add(repository, folder)
    settings = HubSettings(hub.endpoint, tmp_path / "cache", timeout=2.0)
    started = time.monotonic()
    found = answer(lambda: open_hub(repository, None, settings))
    assert time.monotonic() - started <= SECONDS
    assert "unclean" not in found
    assert found == answer(lambda: open_source(str(folder)))
