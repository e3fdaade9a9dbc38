"""Questions to score by likelihood: each possible answer as the continuation of one prompt."""

from collections.abc import Sequence
from typing import Any, NamedTuple

from analyzer.text import shown
from trainer.dataset.encode import parts_of
from trainer.dataset.examples import Choice, Labelled, Pair, choice_pair
from trainer.dataset.tokens import beginning_of, end_of
from trainer.errors import InvalidData


class Answer(NamedTuple):
    """One possible answer."""

    ids: list[int]
    """Of the prompt and the answer; the end token is not among them."""

    given: int
    """How many of them, at least one, are the prompt's."""

    characters: int
    """Of the answer, without the blank before it."""


class Question(NamedTuple):
    """All possible answers, and the index of the right one."""

    answers: tuple[Answer, ...]
    right: int
    cut: bool
    """Something of a prompt or an answer was left out to fit."""


def choice_questions(choices: Sequence[Choice], tokenizer: Any, length: int) -> list[Question]:
    """The lettered prompt of training (`choice_pair`) with each choice's text.

    Where both are longer than `length` tokens the prompt loses its beginning (BOS stays), and an
    answer that fills it alone its end. Raises InvalidData where a choice makes no token.
    """
    begin = beginning_of(tokenizer)
    return [
        _question(
            [choice_pair(choice._replace(answer=at)) for at in range(len(choice.choices))],
            choice.choices, choice.answer, tokenizer, length, begin,
        )
        for choice in choices
    ]  # fmt: skip


def label_questions(
    examples: Sequence[Labelled], labels: Sequence[str], tokenizer: Any, length: int
) -> list[Question]:
    """The text with each label after it, a blank between where the text ends with none.

    As `choice_questions`; the answers are in the order of the labels.
    """
    begin = beginning_of(tokenizer)
    return [
        _question(
            [Pair(example.text, f"{_blank(example.text)}{label}") for label in labels],
            labels, labels.index(example.label), tokenizer, length, begin,
        )
        for example in examples
    ]  # fmt: skip


def _blank(text: str) -> str:
    return "" if text[-1:].isspace() else " "


def _question(
    pairs: Sequence[Pair],
    texts: Sequence[str],
    right: int,
    tokenizer: Any,
    length: int,
    begin: list[int],
) -> Question:
    answers, cut = [], False
    for pair, text in zip(pairs, texts, strict=True):
        prompt, answer = parts_of(pair, tokenizer)
        if not answer:
            raise InvalidData(
                f"the tokenizer makes no token of the choice {shown(text, 60)!r}"
                ", so it has no likelihood; correct it"
            )
        first = begin or ([] if prompt else [end_of(tokenizer)])
        kept = answer[: length - max(len(first), 1)]
        room = length - len(first) - len(kept)
        rest = prompt[max(0, len(prompt) - room) :]
        cut = cut or len(kept) < len(answer) or len(rest) < len(prompt)
        ids = first + rest + kept
        answers.append(Answer(ids, len(ids) - len(kept), len(text)))
    return Question(tuple(answers), right, cut)
