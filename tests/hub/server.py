"""The double itself: two origins, a log of their requests, and the faults in between."""

import contextlib
import functools
import re
import socket
import struct
import threading
from collections.abc import Collection
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from socketserver import TCPServer, ThreadingMixIn
from typing import Any, Self
from urllib.parse import unquote

from tests.hub.content import Content
from tests.hub.endpoints import answer
from tests.hub.faults import Fault
from tests.hub.messages import End, Record, Request, Response
from tests.hub.pace import Pace
from tests.hub.repository import File, Predicate, Repository, large


class HubDouble:
    """A Hugging Face Hub on this machine, for as long as its context lasts.

    `rate` is in bytes a second over all connections together, None for as fast as it goes.
    Folders are served from where they are: they have to stay as they were when added.
    """

    def __init__(self, rate: float | None = None, port: int = 0) -> None:
        self.repositories: dict[tuple[str, str], Repository] = {}
        self.objects: dict[str, File] = {}
        self.tokens: dict[str, str] = {}
        self.faults: list[Fault] = []
        self.requests: list[Record] = []
        self.errors: list[BaseException] = []
        self.page_size = 1000
        self.pace = Pace(rate)
        self._origins = [_Origin(self, "hub", port), _Origin(self, "cdn", 0)]
        # Two names for one machine, so that a client sees two origins.
        self.endpoint, self.cdn = (
            f"http://{host}:{origin.server_address[1]}"
            for host, origin in zip(("127.0.0.1", "localhost"), self._origins, strict=True)
        )

    @property
    def rate(self) -> float | None:
        return self.pace.rate

    @rate.setter
    def rate(self, rate: float | None) -> None:
        self.pace.rate = rate

    def __enter__(self) -> Self:
        for origin in self._origins:
            threading.Thread(target=origin.serve_forever, args=(0.05,), daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        for origin in self._origins:
            origin.stop()
        if self.errors:
            raise self.errors[0]

    def add(
        self,
        name: str,
        folder: Path | str,
        *,
        type: str = "model",
        private: bool | Collection[str] | None = None,
        gated: bool | Collection[str] | None = None,
        branch: str = "main",
        tag: str | None = None,
        lfs: Predicate = large,
    ) -> str:
        """Commit a snapshot of `folder` to `branch`, and return its hash."""
        repository = self.repositories.setdefault((type, name), Repository(name, type))
        if private is not None:
            repository.private = private
        if gated is not None:
            repository.gated = (set() if gated else None) if isinstance(gated, bool) else gated
        commit = repository.add(Path(folder), lfs)
        repository.branches[branch] = commit.sha
        if tag is not None:
            repository.tags[tag] = commit.sha
        self.objects.update((file.sha256, file) for file in commit.files.values() if file.sha256)
        return commit.sha

    def repository(self, name: str, type: str = "model") -> Repository:
        return self.repositories[type, name]

    def bytes_served(self, path_pattern: str | None = None) -> int:
        """Bytes of bodies sent, of all requests or those whose decoded path matches."""
        return sum(
            record.bytes_sent
            for record in list(self.requests)
            if re.search(path_pattern or "", unquote(record.path))
        )

    def clear(self) -> None:
        self.requests.clear()

    def environment(self, home: Path | str) -> dict[str, str]:
        """Variables for a process that knows no other Hub; HF_TOKEN is not among them."""
        return {
            "HF_ENDPOINT": self.endpoint,
            "HF_HOME": str(home),
            "HF_HUB_DISABLE_XET": "1",
            "HF_HUB_DISABLE_TELEMETRY": "1",
            "HF_HUB_OFFLINE": "0",
            "NO_PROXY": "127.0.0.1,localhost",
        }

    def respond(self, request: Request) -> Response:
        """The answer as the faults leave it; the first of the list has the last word."""
        respond = functools.cache(functools.partial(answer, self, request))
        for fault in reversed(self.faults):
            respond = functools.cache(functools.partial(fault.around, request, respond))
        return respond()


class _Origin(ThreadingMixIn, TCPServer):
    daemon_threads = True
    allow_reuse_address = True
    request_queue_size = 128

    def __init__(self, hub: HubDouble, name: str, port: int) -> None:
        super().__init__(("127.0.0.1", port), _Handler)
        self.hub, self.name = hub, name
        self.connections: set[socket.socket] = set()

    def stop(self) -> None:
        self.shutdown()
        self.server_close()
        for connection in list(self.connections):
            with contextlib.suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A client that left is no error; any other is raised when the context ends."""


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    server: _Origin

    def setup(self) -> None:
        super().setup()
        self.server.connections.add(self.connection)

    def finish(self) -> None:
        self.server.connections.discard(self.connection)
        super().finish()

    def log_message(self, format: str, *args: Any) -> None:
        pass

    def do_GET(self) -> None:
        hub = self.server.hub
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        request = Request(self.command, self.path, self.headers, body, self.server.name)
        record = request.record()
        hub.requests.append(record)
        try:
            self._send(hub.respond(request), record)
        except (ConnectionError, TimeoutError):
            self.close_connection = True
        except Exception as error:
            hub.errors.append(error)
            raise

    do_HEAD = do_POST = do_GET

    def _send(self, response: Response, record: Record) -> None:
        record.status = response.status
        if response.status is not None:
            self._send_head(response)
            if self.command != "HEAD":
                self._send_body(response.body, record)
                announced = response.headers.get("Content-Length")
                self.close_connection |= announced != str(record.bytes_sent)
        if response.end is not End.KEEP:
            self.close_connection = True
            self._hang() if response.end is End.HANG else self._reset()

    def _send_head(self, response: Response) -> None:
        self.send_response(response.status)
        for name, value in response.headers.items():
            self.send_header(name, value)
        if "Content-Length" not in response.headers:
            self.send_header("Connection", "close")
        self.end_headers()

    def _send_body(self, body: Any, record: Record) -> None:
        if isinstance(body, Content) and isinstance(body.source, Path):
            self._send_file(body, record)
            return
        size = self.server.hub.pace.piece
        for whole in body:
            for begin in range(0, len(whole), size):
                piece = whole[begin : begin + size]
                with self._counted(record, len(piece)) as sent:
                    self.connection.sendall(piece)
                    sent.append(len(piece))

    def _send_file(self, body: Content, record: Record) -> None:
        with body.source.open("rb") as file:
            at = body.start
            while at < body.stop:
                size = min(self.server.hub.pace.piece, body.stop - at)
                with self._counted(record, size) as sent:
                    sent.append(self.connection.sendfile(file, at, size))
                at += size

    @contextlib.contextmanager
    def _counted(self, record: Record, size: int):
        """Count a piece before it is written: a client that has it must find it in the log."""
        self.server.hub.pace.wait(size)
        record.bytes_sent += size
        sent: list[int] = []
        try:
            yield sent
        finally:
            record.bytes_sent += sum(sent) - size

    def _hang(self) -> None:
        while self.connection.recv(1024):
            pass

    def _reset(self) -> None:
        now = struct.pack("ii", 1, 0)
        self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, now)
        self.rfile.close()
        self.connection.close()
