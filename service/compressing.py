"""Gzip for what browsers load: pages and figures."""

import re

from starlette.middleware.gzip import GZipMiddleware
from starlette.types import ASGIApp, Receive, Scope, Send

from service.guard import API

LEAST_BYTES = 1000
LEVEL = 6
_FIGURE = re.compile(rf"{API}\w+/\w+/figures/\w+", re.ASCII)


class Compressed:
    """ASGI middleware. The API's other answers are small, many and fetched by programs, its files
    do not get smaller, and its streams have to arrive as they come: all go on as they are.
    """

    def __init__(self, app: ASGIApp) -> None:
        """Around all that makes answers."""
        self._app = app
        self._gzip = GZipMiddleware(app, minimum_size=LEAST_BYTES, compresslevel=LEVEL)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Hand on, by way of gzip where it pays."""
        path = scope.get("path", "")
        pays = not path.startswith(API) or _FIGURE.fullmatch(path)
        await (self._gzip if scope["type"] == "http" and pays else self._app)(scope, receive, send)
