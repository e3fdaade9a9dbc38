"""Requests at a fixed rate, whatever comes back: latencies count from when each should have begun.

    python -m benchmarks.openloop URL KEY < requests.json

Standard input: {"seconds": …, "streams": [{"rate": …, "method": …, "paths": […], "bodies": […]}]};
standard output: latencies in seconds and statuses, by stream.
"""

import asyncio
import json
import sys
import time
from collections import Counter
from typing import Any
from urllib.parse import urlsplit

CONNECTIONS = 64


class Line:
    """One connection that is kept open."""

    def __init__(self, host: str, port: int, key: str) -> None:
        """Connect to nothing yet."""
        self._address, self._key = (host, port), key
        self._ends: tuple[asyncio.StreamReader, asyncio.StreamWriter] | None = None

    async def ask(self, method: str, path: str, body: bytes) -> int:
        """The status of an answer that was read to its end."""
        if self._ends is None:
            self._ends = await asyncio.open_connection(*self._address)
        reader, writer = self._ends
        head = f"{method} {path} HTTP/1.1\r\nHost: localhost\r\n"
        head += f"Authorization: Bearer {self._key}\r\n"
        if body:
            head += f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\n"
        writer.write(head.encode() + b"\r\n" + body)
        found = await reader.readuntil(b"\r\n\r\n")
        length = found.lower().partition(b"\r\ncontent-length:")[2].partition(b"\r\n")[0]
        await reader.readexactly(int(length))
        return int(found[9:12])


async def stream(lines: "asyncio.Queue[Line]", seconds: float, wanted: dict[str, Any]) -> Any:
    """One stream of requests at its rate."""
    latencies: list[float] = []
    statuses: Counter[int] = Counter()
    bodies = [json.dumps(body).encode() for body in wanted.get("bodies", [])] or [b""]
    paths, rate = wanted["paths"], wanted["rate"]
    start = time.monotonic()

    async def one(number: int, due: float) -> None:
        line = await lines.get()
        try:
            statuses[
                await line.ask(
                    wanted["method"], paths[number % len(paths)], bodies[number % len(bodies)]
                )
            ] += 1
            latencies.append(time.monotonic() - due)
        finally:
            lines.put_nowait(line)

    tasks = []
    for number in range(int(seconds * rate)):
        due = start + number / rate
        await asyncio.sleep(max(0.0, due - time.monotonic()))
        tasks.append(asyncio.create_task(one(number, due)))
    await asyncio.gather(*tasks)
    return {"latencies": latencies, "statuses": statuses}


async def main(url: str, key: str) -> None:
    wanted = json.load(sys.stdin)
    parts = urlsplit(url)
    lines: asyncio.Queue[Line] = asyncio.Queue()
    for _ in range(CONNECTIONS):
        lines.put_nowait(Line(str(parts.hostname), int(parts.port or 80), key))
    streams = [stream(lines, wanted["seconds"], each) for each in wanted["streams"]]
    print(json.dumps(await asyncio.gather(*streams)))


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:3]))
