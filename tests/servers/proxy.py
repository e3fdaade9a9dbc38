"""A way to a server that can be cut."""

import contextlib
import re
import socket
import threading
from typing import Literal, Self

from tests.servers.ports import free_port

Mode = Literal["pass", "silent", "refuse"]
Pair = tuple[socket.socket, socket.socket]


class Proxy:
    """Stands before a server on this machine, for as long as its context lasts.

    `silent` accepts and takes what is sent, but nothing comes back; on the way back to `pass`
    all of it arrives late, as at a server that was stopped for a while. `refuse` ends every
    connection and accepts none.
    """

    def __init__(self, server_port: int) -> None:
        self.port = free_port()
        self.mode: Mode = "refuse"
        self._server_port = server_port
        self._gate = threading.Event()
        self._pairs: list[Pair] = []
        self._threads: list[threading.Thread] = []
        self._accepting: threading.Thread | None = None

    def __enter__(self) -> Self:
        self.switch("pass")
        return self

    def __exit__(self, *_: object) -> None:
        self.switch("refuse")
        for thread in self._threads:
            thread.join(10)

    def url(self, url: str) -> str:
        """An address of the server, with the port of the proxy."""
        changed, times = re.subn(rf":{self._server_port}\b", f":{self.port}", url)
        assert times == 1, url
        return changed

    def switch(self, mode: Mode) -> None:
        """Change the mode, of connections that are there and of those to come."""
        self.mode = mode
        if mode == "silent":
            self._gate.clear()
        if mode == "refuse":
            self._refuse()
        elif self._accepting is None:
            listener = socket.create_server(("127.0.0.1", self.port), backlog=128)
            listener.settimeout(0.05)
            self._accepting = threading.Thread(target=self._accept, args=(listener,), daemon=True)
            self._accepting.start()
        if mode != "silent":
            self._gate.set()

    def _refuse(self) -> None:
        if self._accepting is not None:
            self._accepting.join()
            self._accepting = None
        for pair in self._pairs:
            _shut(pair)
        self._pairs.clear()

    def _accept(self, listener: socket.socket) -> None:
        with listener:
            while self.mode != "refuse":
                with contextlib.suppress(TimeoutError):
                    self._connect(listener.accept()[0])

    def _connect(self, client: socket.socket) -> None:
        try:
            server = socket.create_connection(("127.0.0.1", self._server_port))
        except OSError:
            client.close()
            return
        for one in (client, server):
            one.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._pairs.append((client, server))
        self._threads.append(threading.Thread(target=self._carry, args=(client, server)))
        self._threads[-1].start()

    def _carry(self, client: socket.socket, server: socket.socket) -> None:
        back = threading.Thread(target=self._pump, args=(server, client))
        back.start()
        self._pump(client, server)
        back.join()
        client.close()
        server.close()

    def _pump(self, source: socket.socket, sink: socket.socket) -> None:
        with contextlib.suppress(OSError):
            while data := source.recv(65_536):
                self._gate.wait()
                sink.sendall(data)
        self._gate.wait()
        _shut((source, sink))


def _shut(pair: Pair) -> None:
    for one in pair:
        with contextlib.suppress(OSError):
            one.shutdown(socket.SHUT_RDWR)
