"""What a row says in its form, checked: the step between columns and tokens."""

import json
import re
from collections.abc import Mapping
from typing import Any, NamedTuple

from analyzer.text import shown
from trainer.dataset.columns import NEEDED, Form
from trainer.errors import InvalidData

LETTERS = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"


class Conversation(NamedTuple):
    """Turns, each with `role` and `content`; at least one of an assistant."""

    messages: list[dict[str, Any]]


class Pair(NamedTuple):
    """What is given, and what is learnt."""

    prompt: str
    completion: str


class Text(NamedTuple):
    """All of it is learnt."""

    text: str


class Labelled(NamedTuple):
    """A text and the name of its class."""

    text: str
    label: str


class Choice(NamedTuple):
    """A question with its possible answers, and the index of the right one."""

    question: str
    choices: tuple[str, ...]
    answer: int


Example = Conversation | Pair | Text | Labelled | Choice


def example_of(row: Mapping[str, Any], form: Form, where: str) -> Example | None:
    """What the row says; None where it is empty: a needed value missing, or nothing to learn.

    An instruction and its input are joined by a blank line, and another stands before the output.
    Raises InvalidData, with `where`, on values of another type than the form has.
    """
    if any(row.get(column) is None for column in NEEDED[form]):
        return None
    if form == "chat":
        return _conversation(row, where)
    if form == "choice":
        return _choice(row, where)
    if form == "classification":
        text, label = _text(row, "text", where), _label(row["label"], where)
        return Labelled(text, label) if text.strip() and label.strip() else None
    if form == "text":
        text = _text(row, "text", where)
        return Text(text) if text.strip() else None
    if form == "completion":
        pair = Pair(_text(row, "prompt", where), _text(row, "completion", where))
        return pair if pair.completion.strip() else None
    return _instruction(row, where)


def choice_pair(choice: Choice) -> Pair:
    """The question with lettered choices, and the text of the right one.

    A blank stands before the answer, as a word after a colon has one.
    """
    lines = [f"{letter}. {text}" for letter, text in zip(LETTERS, choice.choices, strict=False)]
    prompt = "\n".join([choice.question, *lines, "Answer:"])
    return Pair(prompt, f" {choice.choices[choice.answer]}")


def _instruction(row: Mapping[str, Any], where: str) -> Pair | None:
    instruction, output = _text(row, "instruction", where), _text(row, "output", where)
    given = "" if row.get("input") is None else _text(row, "input", where)
    if not (instruction.strip() and output.strip()):
        return None
    parts = [instruction, given] if given.strip() else [instruction]
    return Pair("".join(f"{part}\n\n" for part in parts), output)


def _conversation(row: Mapping[str, Any], where: str) -> Conversation | None:
    messages = []
    for number, message in enumerate(_list(row, "messages", where), 1):
        if not isinstance(message, Mapping):
            raise InvalidData(
                f"message {number} in {where} is no object; write it with `role` and `content`"
            )
        for key in ("role", "content"):
            if not isinstance(message.get(key), str):
                raise InvalidData(
                    f"message {number} in {where} has no text as `{key}`; write it with `role` "
                    "and `content`"
                )
        # a Parquet file gives every message the keys that any one has
        messages.append({key: value for key, value in message.items() if value is not None})
    learnt = any(
        message["role"] == "assistant" and message["content"].strip() for message in messages
    )
    return Conversation(messages) if learnt else None


def _choice(row: Mapping[str, Any], where: str) -> Choice | None:
    question, choices = _text(row, "question", where), _list(row, "choices", where)
    if not (question.strip() and choices):
        return None
    if not all(isinstance(choice, str) and choice.strip() for choice in choices):
        raise InvalidData(f"`choices` in {where} holds something that is no text; make all text")
    if not 2 <= len(choices) <= len(LETTERS):
        raise InvalidData(
            f"{where} has {len(choices)} in `choices`; give 2 to {len(LETTERS)} of them"
        )
    return Choice(question, tuple(choices), _answer(row["answer"], choices, where))


def _answer(answer: object, choices: list[str], where: str) -> int:
    if isinstance(answer, str) and answer in choices:
        return choices.index(answer)
    text = "" if isinstance(answer, bool) else str(answer).strip()
    if re.fullmatch("[0-9]{1,2}", text) and int(text) < len(choices):
        return int(text)
    raise InvalidData(
        f"`answer` in {where} is {shown(answer, 60)!r}; give one of the choices, or its index: "
        f"0 to {len(choices) - 1}"
    )


def _label(label: object, where: str) -> str:
    if isinstance(label, str):
        return label.strip()
    if isinstance(label, int):
        return json.dumps(label)
    raise InvalidData(f"`label` in {where} is neither text nor a whole number; make it one")


def _text(row: Mapping[str, Any], column: str, where: str) -> str:
    if not isinstance(row[column], str):
        raise InvalidData(f"`{column}` in {where} is no text; put quotes around it")
    return str(row[column])


def _list(row: Mapping[str, Any], column: str, where: str) -> list[Any]:
    """A list, or the JSON text of one, as a .csv file has it."""
    value = row[column]
    if isinstance(value, str):
        try:
            value = json.loads(value) if value.strip() else []
        except (ValueError, RecursionError):
            value = None
    if not isinstance(value, list):
        raise InvalidData(f"`{column}` in {where} is no list; write it as [first, second, …]")
    return value
