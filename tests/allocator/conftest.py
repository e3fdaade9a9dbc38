"""A real model, analysed."""

import pytest

from analyzer.api import analyze


@pytest.fixture(scope="session")
def analysis(minilm, tmp_path_factory):
    return analyze(minilm, cache=tmp_path_factory.mktemp("cache"))
