"""A classifier on frozen features: the mean of the last hidden states, and logistic regression."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import torch
import transformers
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV
from torch import Tensor

STRENGTHS = (0.003, 0.01, 0.03, 0.1, 0.3, 1.0, 3.0, 10.0)
"""What C is chosen from, by five-fold cross-validation on the training rows."""


class Frozen(NamedTuple):
    """How good it is."""

    strength: float
    accuracy: float
    """On the held-out rows."""


def read(path: Path) -> list[dict[str, str]]:
    """The rows of a .jsonl file."""
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


@torch.no_grad()
def features(model: Path, texts: Sequence[str], length: int, batch: int = 32) -> Tensor:
    """Texts × width, padding left out of the mean; texts are cut to `length` tokens."""
    tokenizer = transformers.AutoTokenizer.from_pretrained(model)
    encoder = transformers.AutoModel.from_pretrained(model, dtype=torch.float32).eval()
    order = sorted(range(len(texts)), key=lambda index: len(texts[index]))
    found = torch.empty(len(texts), encoder.config.hidden_size)
    for start in range(0, len(order), batch):
        chosen = order[start : start + batch]
        words = tokenizer(
            [texts[index] for index in chosen],
            padding=True, truncation=True, max_length=length, return_tensors="pt",
        )  # fmt: skip
        states = encoder(**words).last_hidden_state
        kept = words["attention_mask"].unsqueeze(-1)
        found[chosen] = (states * kept).sum(dim=1) / kept.sum(dim=1)
    return found


def frozen(model: Path, train: Path, held_out: Path, length: int) -> Frozen:
    """Fit on the training rows, and count on the held-out ones."""
    rows, held = read(train), read(held_out)
    texts = [row["text"] for row in (*rows, *held)]
    found = features(model, texts, length).numpy()
    search = GridSearchCV(
        LogisticRegression(max_iter=5000), {"C": STRENGTHS}, cv=5, scoring="accuracy"
    )
    search.fit(found[: len(rows)], [row["label"] for row in rows])
    accuracy = search.score(found[len(rows) :], [row["label"] for row in held])
    return Frozen(float(search.best_params_["C"]), float(accuracy))
