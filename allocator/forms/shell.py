"""Flags in a shell script: written so that they can be pasted, read out of whole scripts."""

import re
import shlex
from collections.abc import Iterator, Mapping, Sequence

from allocator.errors import UnreadablePlan
from analyzer.text import shown

MAX_LETTERS = 1_000_000
_PIECE = re.compile(
    r"""
    \\\n                               # a line that goes on
    | (?<![^\s;&|])\#[^\n]*             # a comment
    | (?P<end> [;&|\n] )
    | (?P<quoted> "(?:[^"\\]|\\.)*"? )
    | (?P<plain> '[^']*'? | \\. | [^\\'"\#;&|\n]+ | . )
    """,
    re.VERBOSE | re.DOTALL,
)


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
    if len(text) > MAX_LETTERS:
        raise UnreadablePlan(f"{len(text)} letters are no script; at most {MAX_LETTERS} are read")
    merged: dict[str, str] = {}
    for words in _commands(text, key):
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


def _commands(text: str, key: str) -> Iterator[list[str]]:
    """The words of each command of a script that has `key` in it."""
    for command in _cut(text.replace("\r\n", "\n")):
        if key not in command.replace("-", "_"):
            continue
        try:
            yield shlex.split(command)
        except ValueError as error:
            raise UnreadablePlan(
                f"the script cannot be read: {str(error).lower()}; close the quotes in it"
            ) from error


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
    for piece in _PIECE.finditer(text):
        if piece.lastgroup == "end":
            yield "".join(command)
            command = []
        elif piece.lastgroup == "quoted":
            command.append(piece.group().replace("\\\n", ""))
        elif piece.lastgroup == "plain":
            command.append(piece.group())
    yield "".join(command)
