"""Conversations through the tokenizer's chat template, with the loss on the assistant's turns."""

from collections.abc import Sequence
from typing import Any

from analyzer.text import shown
from trainer.dataset.tokens import end_of, ids_of, marks_of
from trainer.errors import InvalidData

Message = dict[str, Any]


def turns(messages: Sequence[Message], tokenizer: Any, where: str) -> tuple[list[int], list[bool]]:
    """The ids of a conversation up to the last assistant turn, and for each whether it is learnt.

    An assistant turn is what the template adds to the conversation before it and the prompt for
    an answer, the mark at its end included. Where the template marks no end, EOS is put after the
    last turn. Raises InvalidData where the template is missing, fails, or renders the beginning
    of a conversation in another way once more turns follow.
    """
    check_template(tokenizer)
    places = [at for at, message in enumerate(messages) if message["role"] == "assistant"]
    whole = _rendered(messages[: places[-1] + 1], tokenizer, where)
    learnt = [False] * len(whole)
    start = stop = 0
    for place in places:
        before = _rendered(messages[:place], tokenizer, where, add_generation_prompt=True)
        after = _rendered(messages[: place + 1], tokenizer, where)
        start, stop = len(before), len(after)
        if whole[:start] != before or whole[:stop] != after:
            raise InvalidData(
                f"message {place + 1} in {where}: the tokenizer's chat template renders the "
                "conversation up to it in another way than within the whole, so it cannot be "
                "told which tokens are the answer; give conversations of one answer, or prompt "
                "and completion"
            )
        learnt[start:stop] = [True] * (stop - start)
    if not marks_of(tokenizer).intersection(whole[start:stop]):
        return [*whole, end_of(tokenizer)], [*learnt, True]
    return whole, learnt


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
