"""Server-sent events as a client reads them, after the HTML standard, and an API that listens."""

import json
import threading
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import Any

import uvicorn

from ledger.access import Ledger
from service.app import create_app
from tests.servers.ports import free_port

STREAM = {"Accept": "text/event-stream"}


def read_events(lines: Iterable[str]) -> Iterator[dict[str, Any]]:
    """Events with `id`, `event` and `data`; a comment is {"comment": …}."""
    event: dict[str, Any] = {}
    for line in lines:
        if line == "":
            if "data" in event:
                yield {**event, "data": json.loads(event["data"])}
            event = {}
        elif line.startswith(":"):
            yield {"comment": line[1:].strip()}
        else:
            name, _, value = line.partition(":")
            value = value.removeprefix(" ")
            event[name] = f"{event[name]}\n{value}" if name == "data" and name in event else value


@contextmanager
def listening(ledger: Ledger) -> Iterator[str]:
    """An API process's worth of the service, in threads of this one; its address."""
    config = uvicorn.Config(
        create_app(ledger), port=(port := free_port()), log_config=None, lifespan="off",
        timeout_graceful_shutdown=1,
    )  # fmt: skip
    server = uvicorn.Server(config)
    thread = threading.Thread(target=server.run, daemon=True)
    thread.start()
    while not server.started:
        time.sleep(0.02)
    try:
        yield f"http://127.0.0.1:{port}"
    finally:
        server.should_exit = True
        thread.join(10)
