"""What a browser would load from elsewhere while it shows a page."""

import re
from collections.abc import Iterator
from html.parser import HTMLParser
from pathlib import Path

_LOADING = {
    ("link", "href"), ("script", "src"), ("img", "src"), ("img", "srcset"), ("iframe", "src"),
    ("source", "src"), ("source", "srcset"), ("object", "data"), ("embed", "src"),
    ("video", "src"), ("audio", "src"), ("use", "href"),
}  # fmt: skip
_NOT_LOADED = {"canonical", "next", "prev", "author", "license", "search", "index"}
_ADDRESS = re.compile(r"(?:https?:)?//[\w.-]+\.\w+[^\s\"'`)]*")
_IN_STYLES = re.compile(r"(?:@import\s+|url\()\s*[\"']?((?:https?:)?//[^\s\"')]+)")


class _Loads(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.found: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = dict(attrs)
        if tag == "link" and _NOT_LOADED.intersection((given.get("rel") or "").split()):
            return
        for name, value in given.items():
            if (tag, name) in _LOADING and _ADDRESS.match(value or ""):
                self.found.append(value or "")
            elif name == "style":
                self.found += _IN_STYLES.findall(value or "")


def foreign(site: Path) -> list[tuple[str, str]]:
    """Pairs of file and address: elements of pages, imports of styles, addresses in scripts."""
    return [(file.relative_to(site).as_posix(), each) for file, each in _all(site)]


def _all(site: Path) -> Iterator[tuple[Path, str]]:
    for file in sorted(site.rglob("*")):
        if file.suffix == ".html":
            parser = _Loads()
            parser.feed(file.read_text(encoding="utf-8"))
            yield from ((file, each) for each in parser.found)
        elif file.suffix == ".css":
            yield from ((file, each) for each in _IN_STYLES.findall(file.read_text("utf-8")))
        elif file.suffix in (".js", ".mjs"):
            text = file.read_text(encoding="utf-8")
            loads = re.findall(
                r"(?:import|fetch|src\s*=)\s*\(?\s*[\"'`]((?:https?:)?//[^\"'`]+)", text
            )
            yield from ((file, each) for each in loads)
