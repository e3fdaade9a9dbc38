"""What the documentation tells its readers to type."""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).parents[2]
PAGES = [
    ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").glob("*.md")),
]  # fmt: skip
_STARTS = re.compile(r"^(?:\$ )?(?:docker compose run --rm api |export [A-Z_]+=\S+ )?(tailora .*)")


class Typed(NamedTuple):
    """A line, or words of a sentence, that begin with `tailora`."""

    page: str
    text: str
    whole: bool
    """A line of code that could be run as it stands but for its names."""


def typed() -> Iterator[Typed]:
    """From blocks of code, and from code in sentences and tables."""
    for page in PAGES:
        for line in _joined(page.read_text(encoding="utf-8")):
            block = re.match(r"^(?: {4}|\t)(.*)", line)
            if block:
                found = _STARTS.match(block[1].strip())
                if found:
                    text = re.split(r"\s{2,}|\s# ", found[1])[0]
                    yield Typed(page.name, text, not re.search(r"[\[\]|…]|\.\.\.|, ", text))
            else:
                for words in re.findall(r"`(tailora [^`]+)`", line):
                    yield Typed(page.name, words, False)


def _joined(text: str) -> list[str]:
    r"""Lines; one that ends with \ goes on."""
    return re.sub(r"\\\n\s*", "", text).splitlines()
