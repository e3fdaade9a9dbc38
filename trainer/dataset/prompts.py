"""What comes before a sample's last answer, and that answer, for answers that are generated."""

from collections.abc import Sequence
from typing import Any, NamedTuple

from trainer.dataset.encode import IGNORED, Encoded, Sample
from trainer.dataset.tokens import marks_of


class Prompt(NamedTuple):
    """A prompt with its answer."""

    ids: list[int]
    """Of the prompt, at least one."""

    answer: str
    """As the tokenizer decodes it, without outer blanks."""

    end: int | None
    """The token that ends the answer and stands for no text, where one does."""


def prompts_of(encoded: Sequence[Encoded], tokenizer: Any, most: int) -> list[Prompt]:
    """The first `most` of those that were not cut and have a prompt."""
    found: list[Prompt] = []
    for one in encoded:
        if len(found) == most:
            break
        prompt = None if one.cut or one.sample is None else _prompt(one.sample, tokenizer)
        if prompt is not None:
            found.append(prompt)
    return found


def _prompt(sample: Sample, tokenizer: Any) -> Prompt | None:
    ids, labels = sample.input_ids, sample.labels
    assert not isinstance(labels, int)
    given = _start(labels)
    if given == 0:
        return None
    answer = ids[given:]
    marks = marks_of(tokenizer)
    end = next((at for at in reversed(range(len(answer))) if answer[at] in marks), None)
    text = tokenizer.decode(answer[:end], skip_special_tokens=True)
    return Prompt(ids[:given], str(text).strip(), None if end is None else answer[end])


def _start(labels: Sequence[int]) -> int:
    """Where the last run of learnt tokens begins."""
    at = len(labels)
    while at and labels[at - 1] == IGNORED:
        at -= 1
    while at and labels[at - 1] != IGNORED:
        at -= 1
    return at
