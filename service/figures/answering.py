"""The answer with a figure: drawn off the event loop, kept for a while, with its ETag."""

from collections import OrderedDict
from threading import Lock
from typing import Annotated, Any

from anyio import CapacityLimiter
from anyio.to_thread import run_sync
from fastapi import Depends, Query, Request, Response

from service.figures.drawing import WidthName
from service.figures.figure import Figure
from service.figures.palette import ThemeName
from service.figures.rendering import FormatName, Rendering

MOST_BYTES = 32_000_000


def _rendering(
    format: Annotated[FormatName, Query(description="json: the numbers; echarts: an option")] = (
        "json"
    ),
    theme: ThemeName = "light",
    width: Annotated[
        WidthName, Query(description="3.4 or 7 inches; echarts: for a phone or not")
    ] = "double",
) -> Rendering:
    return Rendering(format, theme, width)


HowRendered = Annotated[Rendering, Depends(_rendering)]

FIGURE_RESPONSES: dict[int | str, dict[str, Any]] = {
    200: {
        "model": Figure,
        "description": "The figure, or its file",
        "content": {
            media_type: {}
            for media_type in ("text/csv", "image/svg+xml", "image/png", "application/pdf")
        },
    }
}


class Drawings:
    """Files that were drawn, by their key; the ones asked for last, to a bound."""

    def __init__(self, most_bytes: int = MOST_BYTES) -> None:
        """Keep nothing yet."""
        self._most = most_bytes
        self._lock = Lock()
        self._kept: OrderedDict[str, bytes] = OrderedDict()
        self._bytes = 0
        self.limiter = CapacityLimiter(1)
        """matplotlib draws one at a time; no thread waits for it meanwhile."""

    def get(self, key: str) -> bytes | None:
        """A file that was drawn before."""
        with self._lock:
            if key in self._kept:
                self._kept.move_to_end(key)
            return self._kept.get(key)

    def put(self, key: str, content: bytes) -> None:
        """Keep a file."""
        with self._lock:
            self._bytes += len(content) - len(self._kept.pop(key, b""))
            self._kept[key] = content
            while self._bytes > self._most:
                _, gone = self._kept.popitem(last=False)
                self._bytes -= len(gone)


async def answer(request: Request, figure: Figure, how: Rendering) -> Response:
    """The file, or 304 where the caller has it. Raises FormatUnavailable."""
    how.check()
    key = how.key(figure)
    headers = {"ETag": f'"{key}"', "Cache-Control": "no-cache"}
    if request.headers.get("if-none-match") == headers["ETag"]:
        return Response(status_code=304, headers=headers)
    if how.format not in ("json", "echarts"):
        headers["Content-Disposition"] = f'inline; filename="{figure.name}.{how.format}"'
    content = await _content(request.app.state.drawings, figure, how, key)
    return Response(content, headers=headers, media_type=how.media_type)


async def _content(drawings: Drawings, figure: Figure, how: Rendering, key: str) -> bytes:
    if not how.drawn:
        return how.render(figure)
    kept = drawings.get(key)
    if kept is None:
        kept = await run_sync(how.render, figure, limiter=drawings.limiter)
        drawings.put(key, kept)
    return kept
