"""What stands before the framework: request ids, and bodies that are bounded and strict JSON."""

import json
import logging
import re
import secrets
import time
from collections.abc import Callable, Collection
from typing import Any

import structlog
from starlette.datastructures import Headers, MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from analyzer import strict_json
from service.problems import Problem, response

FORM, API = "application/x-www-form-urlencoded", "/v1/"
"""The page's forms are read by the page; the API takes JSON alone."""

REQUEST_ID = "X-Request-ID"
MOST_VALUES = 10_000
MOST_PASSED_OVER = 1_000_000
LOOPBACK = {"127.0.0.1", "localhost", "[::1]", "testserver"}
_PLAIN_ID = re.compile(r"[\w.-]{1,64}", re.ASCII)
_ID = re.compile(r"\b[a-z]{3}_[0-9a-f]{32}\b")
_NUL = "\0"

log = structlog.get_logger()


Count = Callable[[str, str, int, float], None]


class Guard:
    """ASGI middleware around everything else."""

    def __init__(
        self,
        app: ASGIApp,
        *,
        body_bytes: int,
        loopback_only: bool,
        count: Count,
        streamed: Collection[tuple[str, str]] = (),
    ) -> None:
        """Bound bodies; where no key is asked for, answer only to this machine's own names.

        `count` is told method, route, status and seconds of every request. `streamed` are methods
        and paths whose endpoints read the body themselves, and bound and check it.
        """
        self._app = app
        self._most = body_bytes
        self._loopback_only = loopback_only
        self._count = count
        self._streamed = frozenset(streamed)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Check one request, and hand it on with its body whole, or where it is streamed unread."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        headers = Headers(scope=scope)
        given = headers.get(REQUEST_ID, "")
        request_id = given if _PLAIN_ID.fullmatch(given) else f"req_{secrets.token_hex(12)}"
        scope.setdefault("state", {})["request_id"] = request_id
        structlog.contextvars.clear_contextvars()
        structlog.contextvars.bind_contextvars(request=request_id)
        started, status, place = time.monotonic(), 0, scope["path"]

        async def sending(message: Message) -> None:
            nonlocal status, place
            if message["type"] == "http.response.start":
                status, answer = message["status"], MutableHeaders(scope=message)
                answer[REQUEST_ID] = request_id
                place += answer.get("location", "")
            await send(message)

        try:
            self._check_head(scope, headers)
            if (scope["method"], scope["path"]) not in self._streamed:
                receive = _replay(await self._body(scope["path"], headers, receive), receive)
        except Problem as problem:
            refused = response(problem, scope["path"], request_id)
            await refused(scope, receive, sending)
        else:
            await self._app(scope, receive, sending)
        seconds = time.monotonic() - started
        route = getattr(scope.get("route"), "path", "none")
        self._count(scope["method"], route, status, seconds)
        polled = scope["method"] == "GET" and status < 400
        if not polled or logging.getLogger().isEnabledFor(logging.DEBUG):
            log.log(
                logging.DEBUG if polled else logging.INFO,
                "request",
                method=scope["method"],
                path=scope["path"],
                status=status,
                **_named_in(place),
                ms=round(1000 * seconds, 1),
            )

    def _check_head(self, scope: Scope, headers: Headers) -> None:
        if _NUL in scope["path"] or b"%00" in scope["query_string"]:
            raise Problem("invalid_request", "the address holds a NUL character; leave it out")
        host = headers.get("host", "")
        name = host.rpartition(":")[0] if not host.endswith("]") and ":" in host else host
        if self._loopback_only and name not in LOOPBACK:
            raise Problem(
                "host_not_allowed",
                "this service answers to this machine only; for others start it with --host and "
                "API keys",
            )

    async def _body(self, path: str, headers: Headers, receive: Receive) -> bytes:
        announced = headers.get("content-length", "0")
        if announced.isdecimal() and int(announced[:20]) > self._most:
            await self._pass_over(receive, 0)
            raise self._too_large()
        body = bytearray()
        while True:
            message = await receive()
            if message["type"] != "http.request":
                return bytes(body)
            body += message.get("body", b"")
            if len(body) > self._most:
                if message.get("more_body"):
                    await self._pass_over(receive, len(body))
                raise self._too_large()
            if not message.get("more_body"):
                break
        if body:
            kind = headers.get("content-type", "").partition(";")[0].strip().lower()
            if kind == FORM and not path.startswith(API):
                return bytes(body)
            if kind != "application/json":
                raise Problem("media_type_unsupported", "send JSON as application/json")
            check_json(bytes(body))
        return bytes(body)

    async def _pass_over(self, receive: Receive, passed: int) -> None:
        """Take what a client is still sending, or it may lose the answer; not without end."""
        while passed < MOST_PASSED_OVER:
            message = await receive()
            passed += len(message.get("body", b""))
            if not message.get("more_body"):
                return

    def _too_large(self) -> Problem:
        return Problem("body_too_large", f"a request has at most {self._most} bytes; send less")


def _named_in(place: str) -> dict[str, str]:
    """The job or dataset that an address names, for the log."""
    found = _ID.search(place)
    if found is None:
        return {}
    return {"dataset" if found.group().startswith("dts_") else "job": found.group()}


def check_json(body: bytes) -> Any:
    """The body's value. Raises Problem for what no request may hold.

    That is anything but JSON, NaN and infinities, NUL and lone surrogates in text, and nesting
    without end.
    """
    try:
        value = strict_json.parse(body, MOST_VALUES, constant=_refuse)
        strict_json.check_depth(value)
        text = json.dumps(value, ensure_ascii=False, allow_nan=False)
        text.encode()
    except (ValueError, RecursionError) as error:
        reason = str(error)[:100] or "nested too deep"
        raise Problem(
            "invalid_json", f"the body is not JSON that is read here: {reason}"
        ) from error
    if "\\u0000" in text:
        raise Problem("invalid_json", "the body holds a NUL character; leave it out")
    return value


def _refuse(constant: str) -> Any:
    raise ValueError(f"{constant} is no JSON")


def _replay(body: bytes, receive: Receive) -> Receive:
    sent = False

    async def replay() -> Message:
        nonlocal sent
        if sent:
            return await receive()
        sent = True
        return {"type": "http.request", "body": body, "more_body": False}

    return replay
