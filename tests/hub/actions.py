"""What can go wrong between a client and the Hub."""

import json
import time
import zlib
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

from tests.hub.content import Content
from tests.hub.faults import Action, Answer
from tests.hub.messages import End, Request, Response, as_file, as_json, failure

MB = 1_000_000


def status(code: int, body: str = "", error: str | None = None, **headers: str) -> Action:
    """An error; `error` is its X-Error-Code, `Retry_After="3"` a header."""
    return Action(lambda request, answer: failure(code, error, body or f"status {code}", **headers))


def redirect(location: str | None = None, code: int = 302) -> Action:
    """Go to `location`, or to this very request again: a loop."""
    return Action(
        lambda request, answer: Response(code, {"Location": location or request.url}),
    )


def reset(after: int | None = None) -> Action:
    """A TCP reset instead of an answer, or behind at most `after` bytes of its body."""
    return _stop(End.RESET, after)


def hang(after: int | None = None) -> Action:
    """Silence instead of an answer, or behind `after` bytes of its body, until either side ends."""
    return _stop(End.HANG, after)


def cut(after: int) -> Action:
    """The connection is closed behind `after` bytes of the body."""
    return _stop(End.KEEP, after)


def drip(size: int, interval: float) -> Action:
    """`size` bytes of the body every `interval` seconds."""

    def act(request: Request, answer: Answer) -> Response:
        response = answer()
        response.body = _slowly(response.body, size, interval)
        return response

    return Action(act, _has_body)


def flip(offset: int, bit: int = 0) -> Action:
    """One bit of the file is wrong, in every answer that carries it."""

    def act(request: Request, answer: Answer) -> Response:
        response = answer()
        response.body = _flipped(response.body, offset - _start(response), 1 << bit)
        return response

    def applies(request: Request, answer: Answer) -> bool:
        return _has_body(request, answer) and 0 <= offset - _start(answer()) < _length(answer())

    return Action(act, applies)


def swap(other: Path | bytes, etag: str | None = None) -> Action:
    """Another object is behind the address; the same ETag, or a new one."""

    def act(request: Request, answer: Answer) -> Response:
        normal = answer()
        response = as_file(request, other, etag or normal.headers.get("ETag", '""'))
        response.headers = {**_kept(normal, "X-Repo-Commit"), **response.headers}
        return response

    return Action(act, _has_file)


def resize(extra: int = 0, times: int = 1, announce: bool = False) -> Action:
    """The body `times` over, then `extra` bytes more or less; Content-Length says so or not."""

    def act(request: Request, answer: Answer) -> Response:
        response = answer()
        length = _length(response) * times + extra
        response.body = _first(_padded(response.body, times), max(length, 0))
        if announce:
            response.headers["Content-Length"] = str(max(length, 0))
        return response

    return Action(act, _has_body)


def ignore_range() -> Action:
    """200 and everything, whatever range was asked for."""

    def act(request: Request, answer: Answer) -> Response:
        del request.headers["Range"]
        return answer()

    return Action(act, lambda request, answer: "Range" in request.headers)


def misrange(start: int = 0, total: int = 0) -> Action:
    """Content-Range names a part `start` bytes on, and a total `total` bytes larger."""

    def act(request: Request, answer: Answer) -> Response:
        response = answer()
        first, size = _start(response), int(response.headers["Content-Range"].split("/")[1])
        last = first + _length(response) - 1
        response.headers["Content-Range"] = f"bytes {first + start}-{last + start}/{size + total}"
        return response

    return Action(act, _is_part)


def shift(by: int) -> Action:
    """The headers of the range asked for, with the bytes that lie `by` further on."""

    def act(request: Request, answer: Answer) -> Response:
        response = answer()
        body = response.body
        response.body = Content(body.source, body.start + by, body.stop + by)
        return response

    return Action(act, _is_part)


def gzip_bomb(size: int = 1000 * MB) -> Action:
    """Content-Encoding gzip: a thousandth of `size` on the wire, `size` zeros once inflated."""

    def act(request: Request, answer: Answer) -> Response:
        response = answer()
        pieces = gzipped_zeros(size)
        response.headers["Content-Encoding"] = "gzip"
        response.headers["Content-Length"] = str(sum(map(len, pieces)))
        response.body = pieces
        return response

    return Action(act, _has_body)


def headers(**changes: str | None) -> Action:
    """Headers with other values; None leaves one out, `_` stands for `-`."""

    def act(request: Request, answer: Answer) -> Response:
        response = answer()
        for name, value in changes.items():
            response.headers.pop(name.replace("_", "-"), None)
            if value is not None:
                response.headers[name.replace("_", "-")] = value
        return response

    return Action(act)


def edit(change: Callable[[Any], Any]) -> Action:
    """Another JSON document in place of the one that would be sent."""

    def act(request: Request, answer: Answer) -> Response:
        normal = answer()
        document = change(json.loads(b"".join(normal.body)))
        return as_json(document, 200, _kept(normal, "Link", "X-Repo-Commit"))

    return Action(act, _has_body)


def rename(old: str, new: str) -> Action:
    """A listing calls the file `old` by another name, `../../x` say."""

    def change(entries: list[dict[str, Any]]) -> list[dict[str, Any]]:
        return [{**e, "path": new} if e["path"] == old else e for e in entries]

    return edit(change)


def same_page() -> Action:
    """A listing whose next page is this page."""

    def act(request: Request, answer: Answer) -> Response:
        response = answer()
        response.headers["Link"] = f'<{request.url}>; rel="next"'
        return response

    return Action(act, _has_body)


def first(change: Callable[[], Any]) -> Action:
    """`change` the hub (move a tag, hide a repository, revoke a token), then answer."""

    def act(request: Request, answer: Answer) -> Response:
        change()
        return answer()

    return Action(act)


def gzipped_zeros(size: int) -> list[bytes]:
    """A gzip stream of `size` zeros, rounded to whole MB: one compressed MB, many times."""
    squeeze = zlib.compressobj(9, wbits=-zlib.MAX_WBITS)
    megabyte = bytes(MB)
    # Nothing refers back across a full flush, so the piece may be repeated.
    piece = squeeze.compress(megabyte) + squeeze.flush(zlib.Z_FULL_FLUSH)
    count, checksum = round(size / MB), 0
    for _ in range(count):
        checksum = zlib.crc32(megabyte, checksum)
    tail = checksum.to_bytes(4, "little") + (count * MB % 2**32).to_bytes(4, "little")
    return [b"\x1f\x8b\x08" + bytes(6) + b"\xff", *[piece] * count, b"\x03\x00" + tail]


def _stop(end: End, after: int | None) -> Action:
    if after is None:
        return Action(lambda request, answer: Response(None, end=end))

    def act(request: Request, answer: Answer) -> Response:
        response = answer()
        response.body, response.end = _first(response.body, after), end
        return response

    return Action(act, _has_body)


def _has_body(request: Request, answer: Answer) -> bool:
    return request.method != "HEAD" and answer().status in (200, 206)


def _has_file(request: Request, answer: Answer) -> bool:
    return answer().status in (200, 206) and "Accept-Ranges" in answer().headers


def _is_part(request: Request, answer: Answer) -> bool:
    return answer().status == 206


def _start(response: Response) -> int:
    named = response.headers.get("Content-Range", "bytes 0-")
    return int(named.removeprefix("bytes ").split("-")[0])


def _length(response: Response) -> int:
    return int(response.headers["Content-Length"])


def _kept(response: Response, *names: str) -> dict[str, str]:
    return {name: response.headers[name] for name in names if name in response.headers}


def _first(body: Iterable[bytes], size: int) -> Iterable[bytes]:
    """The first `size` bytes."""
    if isinstance(body, Content):
        return Content(body.source, body.start, min(body.start + size, body.stop))
    return _until(body, size)


def _until(body: Iterable[bytes], size: int) -> Iterator[bytes]:
    for piece in body:
        yield piece[:size]
        size -= len(piece)
        if size <= 0:
            return


def _padded(body: Iterable[bytes], times: int) -> Iterator[bytes]:
    for _ in range(times):
        yield from body
    while True:
        yield bytes(MB)


def _flipped(body: Iterable[bytes], at: int, mask: int) -> Iterator[bytes]:
    for piece in body:
        if 0 <= at < len(piece):
            piece = piece[:at] + bytes([piece[at] ^ mask]) + piece[at + 1 :]
        at -= len(piece)
        yield piece


def _slowly(body: Iterable[bytes], size: int, interval: float) -> Iterator[bytes]:
    for piece in body:
        for begin in range(0, len(piece), size):
            yield piece[begin : begin + size]
            time.sleep(interval)
