"""Ports for servers that are stopped and started again."""

import random
import socket

FIRST, LAST = 20_000, 32_000
"""Below those that the system gives to clients, who could take the port of a stopped server."""


def free_port() -> int:
    """A port of 127.0.0.1 on which nobody listens."""
    while True:
        port = random.randint(FIRST, LAST)
        with socket.socket() as probe:
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
            return port
