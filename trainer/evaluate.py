"""How good a model is on held-out samples."""

import math
from collections.abc import Sequence
from typing import Any, NamedTuple

import torch

from trainer.dataset.encode import IGNORED, Sample
from trainer.dataset.prompts import Prompt
from trainer.dataset.questions import Question
from trainer.errors import NotMeasurable
from trainer.measures.classes import judge
from trainer.measures.exact import exact_matches
from trainer.measures.likelihood import log_likelihoods, rank
from trainer.measures.passes import (
    class_log_probabilities,
    measuring,
    token_log_probabilities,
)
from trainer.measures.record import Evaluation

__all__ = ["Evaluation", "Generation", "evaluate", "evaluate_labels"]


class Generation(NamedTuple):
    """Answers to generate, for exact match."""

    prompts: Sequence[Prompt]
    tokenizer: Any
    new_tokens: int = 128
    """Of an answer at most; one that is longer in the samples cannot be matched."""


def evaluate(
    model: Any,
    samples: Sequence[Sample],
    pad_id: int,
    batch: int = 8,
    *,
    questions: Sequence[Question] = (),
    generation: Generation | None = None,
    draws: int = 1,
) -> Evaluation:
    """Loss of a model in evaluation mode on at least one sample, and what goes with them.

    Classes: accuracy and macro-F1. Language: perplexity; accuracy by likelihood where there are
    questions; exact match of generated answers where that is asked for. `draws` above 1 average
    probabilities over so many masks of LoRA Dropout (but for generated answers, which need none).

    Padding counts for nothing; modes, statistics and the random state are put back. Raises
    NotMeasurable where a model has no masks to draw, and where a loss is not finite.
    """
    with measuring(model, draws):
        if isinstance(samples[0].labels, int):
            return _with_head(model, samples, pad_id, batch, draws)
        loss, tokens = _language(model, samples, pad_id, batch, draws)
        found: dict[str, Any] = {"loss": loss, "tokens": tokens, "perplexity": _exp(loss)}
        if questions:
            likelihoods = log_likelihoods(model, questions, pad_id, batch, draws)
            found |= _ranked(questions, likelihoods)
    if generation is not None and generation.prompts:
        found |= _generated(model, generation, batch)
    return Evaluation(samples=len(samples), draws=draws if draws > 1 else None, **found)


def evaluate_labels(
    model: Any, questions: Sequence[Question], pad_id: int, batch: int = 8, *, draws: int = 1
) -> Evaluation:
    """Classes by likelihood: each label as the continuation of the text (`label_questions`).

    Accuracy, macro-F1, and the loss of the right label among all of them. Raises NotMeasurable as
    `evaluate` does.
    """
    with measuring(model, draws):
        likelihoods = torch.stack(log_likelihoods(model, questions, pad_id, batch, draws))
    found = judge(likelihoods.log_softmax(dim=-1), [question.right for question in questions])
    return Evaluation(
        samples=len(questions),
        loss=_finite(found.loss),
        macro_f1=found.macro_f1,
        draws=draws if draws > 1 else None,
        **_ranked(questions, list(likelihoods)),
    )


def _with_head(
    model: Any, samples: Sequence[Sample], pad_id: int, batch: int, draws: int
) -> Evaluation:
    right = [sample.labels for sample in samples if isinstance(sample.labels, int)]
    found = judge(class_log_probabilities(model, samples, pad_id, batch, draws), right)
    return Evaluation(
        samples=len(samples),
        loss=_finite(found.loss),
        accuracy=found.accuracy,
        macro_f1=found.macro_f1,
        draws=draws if draws > 1 else None,
    )


def _language(
    model: Any, samples: Sequence[Sample], pad_id: int, batch: int, draws: int
) -> tuple[float, int]:
    """Mean loss by predicted token, and how many those are."""
    rows = [sample.input_ids for sample in samples]
    found = token_log_probabilities(model, rows, pad_id, batch, draws)
    total, tokens = 0.0, 0
    for sample, each in zip(samples, found, strict=True):
        assert isinstance(sample.labels, list)
        learnt = torch.tensor(sample.labels[1:]) != IGNORED
        total -= float(each[learnt].sum())
        tokens += int(learnt.sum())
    return _finite(total / max(tokens, 1)), tokens


def _ranked(questions: Sequence[Question], likelihoods: Sequence[torch.Tensor]) -> dict[str, Any]:
    for each in likelihoods:
        _number(float(each.sum()))
    found = rank(questions, likelihoods)
    return {
        "accuracy": found.accuracy,
        "accuracy_by_character": found.by_character,
        "accuracy_by_token": found.by_token,
        "questions": len(questions),
        "questions_cut": sum(question.cut for question in questions),
    }


def _generated(model: Any, generation: Generation, batch: int) -> dict[str, Any]:
    with measuring(model):
        found = exact_matches(
            model, generation.prompts, generation.tokenizer, batch, generation.new_tokens
        )
    return {"exact_match": sum(found) / len(found), "exact_match_samples": len(found)}


def _exp(loss: float) -> float | None:
    """None beyond what a float holds."""
    return math.exp(loss) if loss < math.log(torch.finfo(torch.float64).max) else None


def _finite(value: float) -> float:
    return _number(math.nan if math.isinf(value) else value)


def _number(value: float) -> float:
    if math.isnan(value):
        raise NotMeasurable(
            "a log-probability came out as no finite number: base or adapter hold values that are "
            "none, or overflow; try base.precision=float32"
        )
    return value
