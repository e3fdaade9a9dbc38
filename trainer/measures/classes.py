"""Accuracy, macro-F1 and loss, from the log-probabilities of classes."""

from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor


class Classes(NamedTuple):
    """Means over samples."""

    loss: float
    """−ln p of the right class."""

    accuracy: float
    macro_f1: float


def judge(log_probabilities: Tensor, right: Sequence[int]) -> Classes:
    """From ln p, samples × classes (each row's p sum to 1), and the right class of each sample."""
    wanted = torch.tensor(right)
    predicted = log_probabilities.argmax(dim=-1)
    return Classes(
        loss=-float(log_probabilities[torch.arange(len(wanted)), wanted].mean()),
        accuracy=float((predicted == wanted).double().mean()),
        macro_f1=macro_f1(predicted.tolist(), right),
    )


def macro_f1(predicted: Sequence[int], right: Sequence[int]) -> float:
    """Mean over classes, of those that occur or are predicted, of 2·hits / (predicted + right)."""
    scores = []
    for each in set(predicted) | set(right):
        hits = sum(a == b == each for a, b in zip(predicted, right, strict=True))
        scores.append(2 * hits / (predicted.count(each) + right.count(each)))
    return sum(scores) / len(scores)
