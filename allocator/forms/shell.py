"""Flags in a shell script: written so that they can be pasted, read out of whole scripts."""

import shlex
from collections.abc import Iterator, Mapping, Sequence

from allocator.errors import UnreadablePlan
from analyzer.text import shown

SEPARATORS = ";&|\n"


def pasted(flags: Mapping[str, str | int | float]) -> str:
    """One flag a line, joined by backslashes into one command; text is quoted."""
    lines = [
        f'--{name} "{value}"' if isinstance(value, str) else f"--{name} {value}"
        for name, value in flags.items()
    ]
    return " \\\n".join(lines) + "\n"


def flags_of(text: str, known: Sequence[str], key: str) -> dict[str, str]:
    """The known flags of the runs in a script that give `key`; runs that agree are one.

    Continued lines, quotes and comments are understood; `--a-b` is `--a_b`, as in python-fire.
    Raises UnreadablePlan where no run gives `key`, or two runs differ.
    """
    merged: dict[str, str] = {}
    for words in commands(text):
        found = _flags(words, known)
        if key not in found:
            continue
        for name, value in found.items():
            if merged.setdefault(name, value) != value:
                raise UnreadablePlan(
                    f"the script has runs that differ: --{name} is {shown(merged[name], 60)} and "
                    f"{shown(value, 60)}; keep the run that you want"
                )
    if not merged:
        raise UnreadablePlan(f"no command in the text has --{key}; is it another form?")
    return merged


def commands(text: str) -> Iterator[list[str]]:
    """The words of each command of a script, without comments. Raises UnreadablePlan."""
    for command in _cut(text.replace("\r\n", "\n")):
        try:
            words = shlex.split(command)
        except ValueError as error:
            raise UnreadablePlan(
                f"the script cannot be read: {str(error).lower()}; close the quotes in it"
            ) from error
        if words:
            yield words


def _flags(words: Sequence[str], known: Sequence[str]) -> dict[str, str]:
    found: dict[str, str] = {}
    for position, word in enumerate(words):
        if not word.startswith("--"):
            continue
        name, equals, value = word[2:].partition("=")
        name = name.replace("-", "_")
        if name in known:
            following = words[position + 1] if position + 1 < len(words) else ""
            found[name] = value if equals else following
    return found


def _cut(text: str) -> Iterator[str]:
    """The text of each command: cut at separators outside quotes, lines joined, comments gone."""
    command: list[str] = []
    quote = ""
    position = 0
    while position < len(text):
        letter = text[position]
        if letter == "\\" and quote != "'":
            pair = text[position : position + 2]
            if pair != "\\\n":
                command.append(pair)
            position += 2
            continue
        if quote:
            quote = "" if letter == quote else quote
        elif letter in "'\"":
            quote = letter
        elif letter == "#" and (not command or command[-1] in " \t"):
            end = text.find("\n", position)
            position = len(text) if end < 0 else end
            continue
        elif letter in SEPARATORS:
            yield "".join(command)
            command, position = [], position + 1
            continue
        command.append(letter)
        position += 1
    yield "".join(command)
