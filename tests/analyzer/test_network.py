"""The real Hub. Run with `pytest -m network`; nothing else in the tests needs it."""

import pytest

from analyzer.analyze import analyze
from analyzer.hub.open import open_hub
from analyzer.hub.settings import HubSettings
from analyzer.options import Options
from analyzer.store import FolderStore

MODEL = "sentence-transformers/all-MiniLM-L6-v2"


@pytest.mark.network
@pytest.mark.parametrize("ranged", [False, True])
def test_the_real_hub(own_cache, tmp_path, minilm, ranged):
    settings = HubSettings("https://huggingface.co", tmp_path / "hub")
    found = analyze(
        open_hub(MODEL, None, settings),
        Options(scope="adaptable", ranged=ranged),
        store=FolderStore(own_cache),
    )
    assert len(found.matrices) == 36
    assert found.provenance.verified is not ranged
    assert found.provenance.bytes_read["hub"] > 0
