"""How good a model is on held-out samples."""

from collections.abc import Sequence
from typing import Any

import torch
from pydantic import BaseModel, ConfigDict
from torch.nn import functional

from trainer.dataset.collate import Collate
from trainer.dataset.encode import Sample


class Evaluation(BaseModel):
    """Means over held-out samples."""

    model_config = ConfigDict(frozen=True)

    samples: int
    loss: float
    """In nats: by predicted token, or by sample where classes are predicted."""

    tokens: int | None = None
    """Predicted ones; None where classes are predicted."""

    accuracy: float | None = None
    """Share of samples whose class was found; None for language."""


@torch.no_grad()
def evaluate(model: Any, samples: Sequence[Sample], pad_id: int, batch: int = 8) -> Evaluation:
    """Loss, and for classes accuracy, of a model in evaluation mode.

    Padding counts for nothing; the model's mode is put back.
    """
    training = model.training
    model.eval()
    total, predicted, right = 0.0, 0, 0
    collate = Collate(pad_id)
    ordered = sorted(samples, key=lambda sample: len(sample.input_ids))
    for start in range(0, len(ordered), batch):
        inputs = collate(ordered[start : start + batch])
        words = {name: value.to(model.device) for name, value in inputs.items()}
        labels = words.pop("labels")
        logits = model(**words).logits.float()
        if labels.ndim > 1:
            logits = logits[:, -labels.shape[1] :]  # a soft prompt's come before the tokens'
            logits, labels = logits[:, :-1].flatten(0, 1), labels[:, 1:].flatten()
        total += float(functional.cross_entropy(logits, labels, reduction="sum"))
        predicted += int((labels != -100).sum())
        right += int((logits.argmax(dim=-1) == labels).sum())
    model.train(training)
    language = isinstance(samples[0].labels, list)
    return Evaluation(
        samples=len(samples),
        loss=total / max(predicted, 1),
        tokens=predicted if language else None,
        accuracy=None if language else right / predicted,
    )
