"""The bytes of an upload: from the request into a draft, never more than a piece in memory."""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager

from fastapi import Request
from fastapi.concurrency import run_in_threadpool
from starlette.requests import ClientDisconnect

from ledger.drafts import Draft
from ledger.errors import QuotaExceeded
from service.problems import Problem

PIECE = 1_000_000
"""Bytes that are written at a time."""

SILENCE = 60.0
"""Seconds without a byte after which nobody is expected to send more."""

AT_ONCE = 4
LATER = 5.0


class Uploads:
    """How many an owner sends at once, in this process: each is a file on the disk."""

    def __init__(self) -> None:
        """Of nobody yet."""
        self._running: Counter[str] = Counter()

    @contextmanager
    def one_more(self, owner: str) -> Iterator[None]:
        """Count one for as long as it lasts. Raises QuotaExceeded."""
        if self._running[owner] >= AT_ONCE:
            raise QuotaExceeded(f"{AT_ONCE} uploads of yours run; wait for one of them", LATER)
        self._running[owner] += 1
        try:
            yield
        finally:
            self._running[owner] -= 1
            self._running += Counter()  # forgets those at 0


async def receive(request: Request, draft: Draft, most: int) -> None:
    """Write the body, with `most` bytes at most, and bring it to the disk.

    Raises Problem where it is larger or ends too early, StoreError where it cannot be written.
    """
    piece = bytearray()
    async for chunk in _chunks(request):
        if draft.size + len(piece) + len(chunk) > most:
            raise too_large(most)
        piece += chunk
        if len(piece) >= PIECE:
            await run_in_threadpool(draft.write, bytes(piece))
            piece.clear()
    await run_in_threadpool(draft.write, bytes(piece))
    await run_in_threadpool(draft.finish)


def check_announced(request: Request, most: int) -> int:
    """The length that the request announces, 0 where it does not. Raises Problem.

    What waits for leave (`Expect: 100-continue`) has sent nothing by then.
    """
    announced = request.headers.get("content-length", "0")
    size = int(announced[:20]) if announced.isdecimal() else 0
    if size > most:
        raise too_large(most)
    return size


def too_large(most: int) -> Problem:
    """What to say of a body of more bytes."""
    return Problem(
        "body_too_large",
        f"a dataset has at most {most} bytes here; send less, or have the operator register it "
        "(TAILORA_DATASETS) or allow more (TAILORA_DATASET_BYTES)",
    )


async def _chunks(request: Request) -> AsyncIterator[bytes]:
    stream = request.stream()
    try:
        while True:
            async with asyncio.timeout(SILENCE):
                chunk = await anext(stream, None)
            if chunk is None:
                return
            yield chunk
    except ClientDisconnect as error:
        raise Problem("upload_incomplete", "the connection was closed; send it again") from error
    except TimeoutError as error:
        raise Problem(
            "upload_incomplete", f"nothing came for {SILENCE:.0f} seconds; send it again"
        ) from error
