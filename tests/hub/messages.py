"""A request, its answer, and what the log keeps of both."""

import json
import time
from dataclasses import dataclass, field
from email.message import Message
from enum import Enum
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

from tests.hub.content import Content, NotSatisfiable, wanted


@dataclass
class Record:
    """One request as it arrived, and how much of the answer's body was written."""

    method: str
    path: str
    range: str | None
    authorised: bool
    if_range: str | None
    origin: str
    time: float = field(default_factory=time.monotonic)
    status: int | None = None
    bytes_sent: int = 0


@dataclass
class Request:
    method: str
    target: str
    headers: Message
    body: bytes
    origin: str

    @property
    def path(self) -> str:
        """The path as it was sent: a percent-encoded revision is one segment."""
        return urlsplit(self.target).path

    @property
    def text(self) -> str:
        """Path and query, decoded: what patterns are searched in."""
        return unquote(self.target)

    @property
    def url(self) -> str:
        return f"http://{self.headers['Host']}{self.target}"

    @property
    def query(self) -> dict[str, list[str]]:
        return parse_qs(urlsplit(self.target).query)

    @property
    def form(self) -> dict[str, list[str]]:
        if "json" in self.headers.get("Content-Type", ""):
            return json.loads(self.body)
        return parse_qs(self.body.decode())

    @property
    def token(self) -> str | None:
        return self.headers.get("Authorization", "").removeprefix("Bearer ") or None

    def record(self) -> Record:
        get = self.headers.get
        authorised = "Authorization" in self.headers
        return Record(
            self.method, self.target, get("Range"), authorised, get("If-Range"), self.origin
        )


class End(Enum):
    """What becomes of the connection once the answer is written."""

    KEEP = "keep"
    RESET = "reset"
    HANG = "hang"


@dataclass
class Response:
    """An answer; without a status not even its head is sent.

    `body` is an iterable of bytes. The connection is closed behind a body that is not as long as
    Content-Length says.
    """

    status: int | None
    headers: dict[str, str] = field(default_factory=dict)
    body: Any = field(default_factory=lambda: Content.of(b""))
    end: End = End.KEEP

    def __post_init__(self) -> None:
        self.headers.setdefault("Content-Length", str(len(self.body)))


class Refused(Exception):
    """The answer to a request that fails."""

    def __init__(self, status: int, code: str | None, message: str, **headers: str) -> None:
        self.response = failure(status, code, message, **headers)


def failure(status: int, code: str | None, message: str, **headers: str) -> Response:
    """An error the way the Hub writes it; `code` goes into X-Error-Code."""
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    if code:
        named["X-Error-Code"] = code
    return as_json({"error": message}, status, {"X-Error-Message": message, **named})


def as_json(document: Any, status: int = 200, headers: dict[str, str] | None = None) -> Response:
    body = Content.of(json.dumps(document).encode())
    return Response(status, {"Content-Type": "application/json", **(headers or {})}, body)


def as_file(request: Request, source: Any, etag: str) -> Response:
    """A file or the range of it that was asked for. Range counts on GET alone (RFC 9110)."""
    whole = Content.of(source)
    headers = {"ETag": etag, "Accept-Ranges": "bytes", "Content-Type": "application/octet-stream"}
    get = request.headers.get
    if get("If-Match", etag) not in (etag, "*"):
        return Response(412, {"ETag": etag})
    ranged = request.method == "GET" and get("If-Range", etag) == etag
    try:
        part = wanted(get("Range"), len(whole)) if ranged else None
    except NotSatisfiable:
        return Response(416, {"ETag": etag, "Content-Range": f"bytes */{len(whole)}"})
    if part is None:
        return Response(200, headers, whole)
    start, stop = part
    headers["Content-Range"] = f"bytes {start}-{stop - 1}/{len(whole)}"
    return Response(206, headers, Content(source, start, stop))
