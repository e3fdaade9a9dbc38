"""The real model learns from real texts, and the benchmark's own arithmetic."""

import json

import numpy as np
import pytest
import transformers

from benchmarks.classifier import beats, largest_imbalance, run
from benchmarks.corpora.files import labelled
from benchmarks.frozen import features
from benchmarks.plans import make_plans

pytestmark = pytest.mark.filterwarnings("ignore::FutureWarning")


def test_what_counts_as_better():
    assert beats([0.05, 0.06, 0.04])
    assert not beats([0.02, 0.02, 0.02]), "two points are not more than two points"
    assert not beats([0.1, 0.02, 0.0]), "the spread is 0.053"
    assert not beats([0.3]), "one seed tells nothing"


def test_the_least_balanced_router_of_the_last_line(tmp_path):
    even = {"load_share": [0.5, 0.5], "mean_probability": [0.9, 0.1]}
    lone = {"load_share": [1.0, 0.0], "mean_probability": [0.75, 0.25]}
    lines = [{"mixtures": {"a": lone}}, {"mixtures": {"a": even}}]
    file = tmp_path / "metrics.jsonl"
    file.write_text("".join(json.dumps(line) + "\n" for line in lines))
    assert largest_imbalance(file) == pytest.approx(1)
    file.write_text(json.dumps({"mixtures": {"a": even, "b": lone}}))
    assert largest_imbalance(file) == pytest.approx(1.5)


def test_features_are_means_over_the_texts_own_tokens(minilm):
    """Whatever else is in the batch."""
    texts = ["a short one", "a text that is a good deal longer than the other one", "two words"]
    found = features(minilm, texts, 32).numpy()
    tokenizer = transformers.AutoTokenizer.from_pretrained(minilm)
    encoder = transformers.AutoModel.from_pretrained(minilm).eval()
    for text, row in zip(texts, found, strict=True):
        alone = encoder(**tokenizer(text, return_tensors="pt")).last_hidden_state[0].mean(dim=0)
        assert np.allclose(row, alone.detach().numpy(), atol=1e-5)


@pytest.mark.slow
def test_minilm_learns_what_packages_are(tmp_path, minilm):
    corpus = labelled(tmp_path / "corpus", each=50)
    plan = make_plans(minilm, 30, tmp_path / "plans")["alphalora"]
    found = run(tmp_path, minilm, plan, corpus, "alphalora", 0, {})
    assert found.after > found.before + 0.2
    assert 1 <= found.imbalance < 5
