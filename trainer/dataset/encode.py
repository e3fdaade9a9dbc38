"""What a row says as token ids, and where the loss lies. Language and choice; classes too."""

from collections.abc import Sequence
from typing import Any, NamedTuple

from analyzer.text import listed, shown
from trainer.dataset.chat import turns
from trainer.dataset.examples import Choice, Conversation, Example, Labelled, Pair, choice_pair
from trainer.dataset.tokens import beginning_of, end_of, ids_of
from trainer.errors import InvalidData

IGNORED = -100
"""The label of a token that is not learnt."""


class Sample(NamedTuple):
    """One sample, without padding."""

    input_ids: list[int]
    labels: list[int] | int
    """Language: as long as `input_ids`, −100 where no loss lies. Classification: the class."""


class Encoded(NamedTuple):
    """A sample, or None where nothing that is learnt was left of it."""

    sample: Sample | None
    cut: bool
    """It was longer than allowed, and lost its end."""

    last_only: bool = False
    """A conversation of which the last answer alone is learnt."""


class Encoder:
    """Encodes what rows say, for one tokenizer.

    A prompt is encoded as it is before an answer: with the tokens that the tokenizer puts at the
    beginning (BOS), none at the end. EOS follows everything that is learnt, and is learnt itself.
    A sample is cut to `length` tokens from the right.
    """

    def __init__(self, tokenizer: Any, length: int, labels: Sequence[str] | None = None) -> None:
        """`labels`: the classes in the head's order, for classification."""
        self._tokenizer, self._length = tokenizer, length
        self._classes = {label: index for index, label in enumerate(labels or ())}
        self._begin = beginning_of(tokenizer)

    def __call__(self, example: Example, where: str) -> Encoded:
        """Encode one. Raises InvalidData, with `where`, on a label outside the set, on turns
        that the chat template cannot render, and without EOS or chat template.
        """
        if isinstance(example, Labelled):
            return self._classified(example, where)
        if isinstance(example, Conversation):
            found = turns(example.messages, self._tokenizer, where)
            return self._cut(found.ids, found.learnt)._replace(last_only=found.last_only)
        if isinstance(example, Choice):
            example = choice_pair(example)
        if isinstance(example, Pair):
            return self._pair(example)
        ids = self._ended(self._begin + ids_of(self._tokenizer, example.text))
        return self._cut(ids, [True] * len(ids))

    def _pair(self, pair: Pair) -> Encoded:
        prompt, completion = parts_of(pair, self._tokenizer)
        ids = self._ended(self._begin + prompt + completion)
        given = len(self._begin) + len(prompt)
        return self._cut(ids, [place >= given for place in range(len(ids))])

    def _classified(self, example: Labelled, where: str) -> Encoded:
        if example.label not in self._classes:
            raise InvalidData(
                f"{where} has the label {shown(example.label, 60)!r}, which is none of "
                f"{listed(list(self._classes))}; correct it, or add it to the recipe's labels"
            )
        ids = list(self._tokenizer(example.text, verbose=False)["input_ids"])
        cut = len(ids) > self._length
        if cut:
            shorter = self._tokenizer(example.text, truncation=True, max_length=self._length)
            ids = list(shorter["input_ids"])
        return Encoded(Sample(ids, self._classes[example.label]) if ids else None, cut)

    def _cut(self, ids: list[int], learnt: list[bool]) -> Encoded:
        cut = len(ids) > self._length
        ids, learnt = ids[: self._length], learnt[: self._length]
        labels = [token if told else IGNORED for token, told in zip(ids, learnt, strict=True)]
        # no token stands before the first, so none predicts it
        return Encoded(Sample(ids, labels) if any(learnt[1:]) else None, cut)

    def _ended(self, ids: list[int]) -> list[int]:
        end = end_of(self._tokenizer)
        return ids if ids[-1:] == [end] else [*ids, end]


def parts_of(pair: Pair, tokenizer: Any) -> tuple[list[int], list[int]]:
    """Ids of prompt and completion, with nothing put around them.

    Both are encoded at once, unless a token would reach over the border: then each alone.
    """
    prompt = ids_of(tokenizer, pair.prompt)
    both = ids_of(tokenizer, pair.prompt + pair.completion)
    if both[: len(prompt)] != prompt or len(both) == len(prompt):
        return prompt, ids_of(tokenizer, pair.completion)
    return prompt, both[len(prompt) :]
