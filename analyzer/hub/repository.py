"""A repository at one commit: its files, as the Hub lists them, and its small ones."""

import hashlib
import re
from collections.abc import Iterator
from dataclasses import dataclass
from threading import Event
from typing import Any
from urllib.parse import quote

from analyzer import strict_json
from analyzer.errors import (
    AccessDenied,
    AnalyzerError,
    CorruptFile,
    HubUnavailable,
    ModelNotFound,
    RevisionNotFound,
)
from analyzer.hub.retry import Transient, persist
from analyzer.hub.transport import Refused, Transport, joined

COMMIT = re.compile(r"[0-9a-f]{40}")
MAX_METADATA = 32_000_000
MAX_PAGES = 200
MAX_VALUES = 2_000_000
_NEXT = re.compile(r'<([^<>]*)>;\s*rel="?next"?')
_SHA256 = re.compile(r"[0-9a-f]{64}")


@dataclass(frozen=True, slots=True)
class Entry:
    """A file of the listing: `sha256` for large files, else the sha1 of its git blob."""

    path: str
    size: int
    sha256: str | None
    blob: str | None

    def check(self, content: bytes, where: str) -> None:
        """Raise CorruptFile unless `content` is what the commit names."""
        if self.sha256 is not None:
            right = hashlib.sha256(content).hexdigest() == self.sha256
        else:
            whole = b"blob %d\0" % len(content) + content
            right = hashlib.sha1(whole, usedforsecurity=False).hexdigest() == self.blob
        if not right:
            raise CorruptFile(f"{where}/{self.path} is not what its commit names; run again")


class Repository:
    """A model repository, whose revision is resolved to a commit first."""

    def __init__(self, name: str, revision: str, transport: Transport) -> None:
        """Resolve the revision. Raises AccessDenied, ModelNotFound or HubUnavailable."""
        self.name = name
        self.transport = transport
        self._revision = revision
        self._base = f"{transport.settings.endpoint}/api/models/{name}"
        info, _ = self._json(f"{self._base}/revision/{quote(revision, safe='')}")
        commit = info.get("sha") if isinstance(info, dict) else None
        if not isinstance(commit, str) or not COMMIT.fullmatch(commit):
            raise HubUnavailable(
                f"{name}: the Hub names no commit for revision {revision}; check HF_ENDPOINT"
            )
        self.commit = commit
        self.gated = bool(info.get("gated"))
        self.private = bool(info.get("private"))

    @property
    def stop(self) -> Event:
        """Set to end every wait."""
        return self.transport.stop

    def listing(self) -> dict[str, Entry]:
        """The files at the repository's root, by name."""
        url = f"{self._base}/tree/{self.commit}"
        found: dict[str, Entry] = {}
        visited: set[str] = set()
        while True:
            if url in visited or len(visited) >= MAX_PAGES:
                raise HubUnavailable(f"{self.name}: the Hub's listing has no end; run again later")
            visited.add(url)
            page, link = self._json(url)
            for entry in _entries(page):
                found[entry.path] = entry
            following = _NEXT.search(link)
            if following is None:
                return found
            next_page = joined(url, following.group(1))
            if next_page is None or not self.transport.settings.is_endpoint(next_page):
                raise HubUnavailable(f"{self.name}: the Hub's listing leads elsewhere")
            url = next_page

    def url(self, path: str) -> str:
        """Where a file's bytes are asked for."""
        return f"{self.transport.settings.endpoint}/{self.name}/resolve/{self.commit}/{quote(path)}"

    def small(self, entry: Entry, most: int) -> bytes:
        """A whole small file, checked. Raises AnalyzerError."""
        if entry.size > most:
            raise CorruptFile(f"{self.name}/{entry.path} is larger than {most} bytes")
        content = self._get(self.url(entry.path), entry.size)[0]
        entry.check(content, self.name)
        return content

    def explain(self, refused: Refused) -> AnalyzerError:
        """A final answer in words that say what to do."""
        name, web = self.name, f"{self.transport.settings.shown}/{self.name}"
        token = self.transport.settings.token
        if refused.code == "GatedRepo":
            then = (
                "with the account of your token (a fine-grained one needs `Read access to contents "
                "of all public gated repos you can access`)"
                if token
                else "and set HF_TOKEN to a token with read access (or run `hf auth login`)"
            )
            return AccessDenied(f"{name} is gated: accept its conditions at {web} {then}")
        if refused.code == "RevisionNotFound":
            return RevisionNotFound(
                f"{name} has no revision {self._revision}; see {web}/commits/main"
            )
        if refused.code == "RepoNotFound" or (refused.status == 404 and not refused.code):
            return ModelNotFound(f"{name} is not at {web}, or it is private: {_private(token)}")
        if refused.status == 401 and token:
            return AccessDenied(
                f"the Hub refuses the token (HF_TOKEN, or the one of `hf auth login`) for {name}; "
                "make a new one with read access, or unset it for a public model"
            )
        if refused.status in (401, 403):
            return AccessDenied(f"{name} is private: {_private(token)}")
        return HubUnavailable(f"{name}: {refused}; check HF_ENDPOINT, or run again later")

    def _json(self, url: str) -> tuple[Any, str]:
        content, link = self._get(url, MAX_METADATA, exact=False)
        try:
            found = strict_json.parse(content, MAX_VALUES)
            strict_json.check_depth(found)
            return found, link
        except (ValueError, RecursionError) as error:
            raise HubUnavailable(
                f"{self.name}: the Hub's answer is not JSON; check HF_ENDPOINT"
            ) from error

    def _get(self, url: str, most: int, *, exact: bool = True) -> tuple[bytes, str]:
        """A whole body of `most` bytes (or at most as many), and the Link header."""

        def attempt() -> tuple[bytes, str]:
            with self.transport.get(url, self.name) as answer:
                content = b"".join(answer.body(most, self.stop))
                if exact and len(content) != most:
                    raise Transient(f"{len(content)} bytes instead of {most}")
                return content, answer.headers.get("link", "")

        try:
            return persist(self.name, attempt, self.stop)
        except Refused as refused:
            raise self.explain(refused) from refused


def _private(token: str | None) -> str:
    if token:
        return "check the name, and that your token may read it (scope `read` for this repository)"
    return "check the name; for a private model set HF_TOKEN to a token with read access"


def _entries(page: Any) -> Iterator[Entry]:
    """The files of a page of the listing; what has another form is left out."""
    for item in page if isinstance(page, list) else []:
        if not isinstance(item, dict):
            continue
        path, size = item.get("path"), item.get("size")
        if item.get("type") != "file" or not isinstance(path, str) or type(size) is not int:
            continue
        large = item.get("lfs")
        sha256 = large.get("oid") if isinstance(large, dict) else None
        size = large.get("size", size) if isinstance(large, dict) else size
        plain = "/" not in path and "\\" not in path and path not in ("", ".", "..")
        known = sha256 is None or (isinstance(sha256, str) and _SHA256.fullmatch(sha256))
        if plain and path.isprintable() and known and type(size) is int and size >= 0:
            yield Entry(path, size, sha256, item.get("oid"))
