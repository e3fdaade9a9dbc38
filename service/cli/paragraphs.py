"""An explanation as short paragraphs; commands on lines of their own, whole."""

from collections.abc import Iterator, Sequence
from textwrap import fill

from rich.console import Console

from allocator.explanation import Explanation, Sentence
from service.cli.layout import print_line

WIDEST = 100


def show_explanation(console: Console, explanation: Explanation) -> None:
    """A title and paragraphs for each section."""
    for number, section in enumerate(explanation.sections):
        if number:
            print_line(console, "")
        console.print(section.title, style="bold", markup=False, highlight=False)
        for line in _lines(section.sentences, min(console.width, WIDEST)):
            print_line(console, line)


def _lines(sentences: Sequence[Sentence], width: int) -> Iterator[str]:
    waiting: list[str] = []
    for sentence in sentences:
        waiting.append(sentence.text)
        if sentence.command is not None:
            yield _paragraph(waiting, width)
            yield f"    {sentence.command}"
            waiting = []
    if waiting:
        yield _paragraph(waiting, width)


def _paragraph(texts: Sequence[str], width: int) -> str:
    return fill(" ".join(texts), width, break_long_words=False, break_on_hyphens=False)
