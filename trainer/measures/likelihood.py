"""Which answer of a question a language model finds likeliest."""

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import torch
from torch import Tensor

from trainer.dataset.questions import Answer, Question
from trainer.measures.passes import token_log_probabilities


class Likelihoods(NamedTuple):
    """Shares of questions whose right answer came first; of equal ones the first listed counts."""

    accuracy: float
    """By the sum of its tokens' ln p."""

    by_character: float
    """By that sum over the answer's characters."""

    by_token: float
    """By that sum over its tokens."""


def log_likelihoods(
    model: Any, questions: Sequence[Question], pad_id: int, batch: int, draws: int = 1
) -> list[Tensor]:
    """For each question the sum of ln p of the tokens of each answer, given the prompt.

    Within `measuring`; `batch` counts answers.
    """
    answers = [answer for question in questions for answer in question.answers]
    rows = [answer.ids for answer in answers]
    tokens = token_log_probabilities(model, rows, pad_id, batch, draws)
    sums = [found[answer.given - 1 :].sum() for found, answer in zip(tokens, answers, strict=True)]
    return list(torch.stack(sums).split([len(question.answers) for question in questions]))


def rank(questions: Sequence[Question], likelihoods: Sequence[Tensor]) -> Likelihoods:
    """How often the right answer has the greatest log-likelihood, by each measure of length."""

    def share(size: Callable[[Answer], int]) -> float:
        right = 0
        for question, found in zip(questions, likelihoods, strict=True):
            sizes = torch.tensor([size(answer) for answer in question.answers])
            right += int((found / sizes).argmax()) == question.right
        return right / len(questions)

    return Likelihoods(
        accuracy=share(lambda _: 1),
        by_character=share(lambda answer: answer.characters),
        by_token=share(lambda answer: len(answer.ids) - answer.given),
    )
