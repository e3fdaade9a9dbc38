"""Conversations through the tokenizer's chat template, with the loss on the assistant's turns."""

from collections.abc import Sequence
from typing import Any, NamedTuple

from analyzer.text import shown
from trainer.dataset.tokens import end_of, ids_of, marks_of
from trainer.errors import InvalidData

Message = dict[str, Any]


class Turns(NamedTuple):
    """A conversation up to its last assistant turn."""

    ids: list[int]
    learnt: list[bool]
    """For each id."""

    last_only: bool
    """Of several answers the last one alone is learnt."""


def turns(messages: Sequence[Message], tokenizer: Any, where: str) -> Turns:
    """The ids of a conversation, and which of them are an assistant's.

    An assistant turn is what the template adds to the conversation before it and the prompt for
    an answer, the mark at its end included. Where the template renders former answers in another
    way once more turns follow, as those of reasoning models do, the last one alone is learnt.
    Where the template marks no end, EOS is put after the last turn. Raises InvalidData where the
    template is missing, fails, or does not even tell the last answer apart.
    """
    check_template(tokenizer)
    places = [at for at, message in enumerate(messages) if message["role"] == "assistant"]
    whole = _rendered(messages[: places[-1] + 1], tokenizer, where)
    spans = [_span(messages, place, whole, tokenizer, where) for place in places]
    if spans[-1] is None:
        raise InvalidData(
            f"message {places[-1] + 1} in {where}: the tokenizer's chat template renders the "
            "conversation up to it in another way than within the whole, so it cannot be told "
            "which tokens are the answer; give prompt and completion"
        )
    found = [span for span in spans if span is not None]
    last_only = len(found) < len(spans)
    learnt = [False] * len(whole)
    for span in found[-1:] if last_only else found:
        learnt[span] = [True] * len(whole[span])
    if not marks_of(tokenizer).intersection(whole[found[-1]]):
        return Turns([*whole, end_of(tokenizer)], [*learnt, True], last_only)
    return Turns(whole, learnt, last_only)


def _span(
    messages: Sequence[Message], place: int, whole: list[int], tokenizer: Any, where: str
) -> slice | None:
    """Where an answer lies in the whole; None where what is up to it is rendered otherwise."""
    before = _rendered(messages[:place], tokenizer, where, add_generation_prompt=True)
    after = _rendered(messages[: place + 1], tokenizer, where)
    start, stop = len(before), len(after)
    same = whole[:start] == before and whole[:stop] == after
    return slice(start, stop) if same else None


def check_template(tokenizer: Any) -> None:
    """Raise InvalidData where the tokenizer has no chat template."""
    if not tokenizer.chat_template:
        raise InvalidData(
            "the tokenizer has no chat template, which `messages` need; take the model's instruct "
            "version, put its chat_template.jinja beside the tokenizer, or give prompt and "
            "completion"
        )


def _rendered(
    messages: Sequence[Message], tokenizer: Any, where: str, add_generation_prompt: bool = False
) -> list[int]:
    try:
        text = tokenizer.apply_chat_template(
            list(messages), tokenize=False, add_generation_prompt=add_generation_prompt
        )
    except Exception as error:  # a template is a program, and fails as it likes
        raise InvalidData(
            f"the tokenizer's chat template cannot render {where}: {shown(error)}"
        ) from error
    return ids_of(tokenizer, text)
