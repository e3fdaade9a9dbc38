"""Manual pages: the line that says what a page is about, its section as the class."""

import gzip
import re
from collections.abc import Iterator
from pathlib import Path

from benchmarks.corpora.entries import Entry, NoCorpus

PLACES = (Path("/usr/share/man"), Path("/usr/local/share/man"))
_ABOUT = re.compile(r"^\.(?:SH|Sh)\s+\"?NAME\"?\s*\n(.*?)(?=^\.S)", re.MULTILINE | re.DOTALL)
_MDOC = re.compile(r"^\.Nd\s+(.*)$", re.MULTILINE)


def manuals(places: tuple[Path, ...] = PLACES) -> Iterator[Entry]:
    """An entry for each page; its source is the first word of its name.

    Raises NoCorpus where no page can be read.
    """
    files = sorted(file for place in places for file in place.glob("man[1-8]/*.[1-8]*"))
    some = False
    for file in files:
        name = file.name.partition(".")[0]
        about = _about(_read(file))
        if about:
            some = True
            label = f"section {file.parent.name[-1]}"
            yield Entry(re.split(r"[-_:]", name)[0] or name, about, label, name)
    if not some:
        raise NoCorpus(f"no manual pages below {' or '.join(map(str, places))}; install man-db")


def _read(file: Path) -> str:
    try:
        data = file.read_bytes()
    except FileNotFoundError:  # a link to a page that is not installed
        return ""
    return (gzip.decompress(data) if file.suffix == ".gz" else data).decode("utf-8", "replace")


def _about(page: str) -> str | None:
    """What stands after the dash in the section NAME, without its markup."""
    if mdoc := _MDOC.search(page):
        text = mdoc[1]
    elif found := _ABOUT.search(page):
        lines = [line for line in found[1].splitlines() if not line.startswith(('.\\"', "'\\\""))]
        text = re.split(r"\s\\?-{1,2}\s", " ".join(lines), maxsplit=1)[-1]
    else:
        return None
    plain = re.sub(r"\\f.|\\[&/|]|(?:^|\s)\.\w+", "", text).replace("\\-", "-").replace("\\", "")
    plain = " ".join(plain.split()).strip(' ".')
    return plain if len(plain) >= 10 else None
