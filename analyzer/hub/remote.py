"""A file of weights on the Hub, read by strict byte ranges; nothing of it is kept."""

import hashlib
from threading import Lock

from analyzer.errors import CorruptFile, HubUnavailable
from analyzer.hub.repository import Entry, Repository
from analyzer.hub.retry import TooLong, Transient, persist
from analyzer.hub.transport import Answer, Refused
from analyzer.weightfile import Origin

CONNECTIONS = 4
MAX_SMALL_FILE = 32_000_000


class RemoteFile:
    """A large file: every answer must be the bytes asked for, of the file that was listed."""

    origin: Origin = "hub"
    connections = CONNECTIONS
    trusted = False

    def __init__(self, repository: Repository, entry: Entry) -> None:
        """Ask for nothing yet."""
        self._repository = repository
        self._entry = entry
        self._etag: str | None = None
        self._lock = Lock()
        self.name = f"{repository.name}/{entry.path}"

    @property
    def size(self) -> int:
        """Bytes of the file, by the listing."""
        return self._entry.size

    def sha256(self) -> str:
        """The sha256 that the commit names."""
        if self._entry.sha256 is None:
            raise HubUnavailable(f"{self.name} is listed without its sha256; check HF_ENDPOINT")
        return self._entry.sha256

    def read(self, start: int, end: int) -> bytearray:
        """The bytes from `start` up to `end`; what broke off goes on where it stopped.

        Raises CorruptFile where the file is another one than was listed, else AnalyzerError.
        """
        content = bytearray(end - start)
        filled = 0

        def attempt() -> bytearray:
            nonlocal filled
            before = filled
            if filled == len(content):
                return content
            low = start + filled
            wanted = {"range": f"bytes={low}-{end - 1}"}
            url = self._repository.url(self._entry.path)
            try:
                with self._repository.transport.get(url, self.name, wanted) as answer:
                    self._check(answer, low, end)
                    for block in answer.body(end - low, self._repository.stop):
                        content[filled : filled + len(block)] = block
                        filled += len(block)
            except TooLong:
                filled = before
                raise
            if filled < len(content):
                raise Transient("the answer is shorter than it should be")
            return content

        try:
            return persist(self.name, attempt, self._repository.stop)
        except Refused as refused:
            if refused.status == 416:
                raise self._changed("its size") from refused
            raise self._repository.explain(refused) from refused

    def _check(self, answer: Answer, low: int, end: int) -> None:
        """The answer must be this range of the file that was listed."""
        linked = _tag(answer.passed.get("x-linked-etag"))
        if linked is not None and linked != self._entry.sha256:
            raise self._changed("its sha256")
        commit = answer.passed.get("x-repo-commit")
        if commit is not None and commit != self._repository.commit:
            raise self._changed("its commit")
        if answer.status != 206:
            raise Transient("the server ignores the range asked for")
        span, _, total = answer.headers.get("content-range", "").partition("/")
        if not (total.isdecimal() and total.isascii()):
            raise Transient("the server does not say which range it sends")
        if total != str(self.size):
            raise self._changed("its size")
        if span != f"bytes {low}-{end - 1}":
            raise Transient("the server sends another range than asked for")
        if answer.headers.get("content-length", str(end - low)) != str(end - low):
            raise Transient("the server announces another length than asked for")
        self._check_tag(_tag(answer.headers.get("etag")), linked)

    def _check_tag(self, etag: str | None, linked: str | None) -> None:
        if etag is None and linked is None:
            raise HubUnavailable(
                f"{self.name} comes without an ETag, so a change would go unseen; check HF_ENDPOINT"
            )
        with self._lock:
            self._etag = self._etag or etag
            if etag != self._etag:
                raise self._changed("its ETag")

    def _changed(self, what: str) -> CorruptFile:
        return CorruptFile(
            f"{self.name} is not the file that was listed ({what} differs); "
            "nothing that was read from it is kept, run again"
        )


class SmallFile:
    """A file that the Hub keeps in git itself, without a sha256: read whole and checked."""

    origin: Origin = "hub"
    connections = 1
    trusted = True

    def __init__(self, repository: Repository, entry: Entry) -> None:
        """Ask for nothing yet."""
        self._repository = repository
        self._entry = entry
        self._content: bytes | None = None
        self.name = f"{repository.name}/{entry.path}"

    @property
    def size(self) -> int:
        """Bytes of the file, by the listing."""
        return self._entry.size

    def sha256(self) -> str:
        """The sha256 of its bytes."""
        return hashlib.sha256(self._whole()).hexdigest()

    def read(self, start: int, end: int) -> bytes:
        """The bytes from `start` up to `end`. Raises AnalyzerError."""
        return self._whole()[start:end]

    def _whole(self) -> bytes:
        if self._content is None:
            self._content = self._repository.small(self._entry, MAX_SMALL_FILE)
        return self._content


def _tag(header: str | None) -> str | None:
    """An ETag without its quotes and weakness."""
    return header.removeprefix("W/").strip('"') if header else None
