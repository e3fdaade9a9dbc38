"""Requests as they go over the wire, with no library in between."""

import http.client
from urllib.parse import urlsplit

from tests.hub.faults import Action, Fault

DATA = bytes(range(256)) * 40
FILE = "/org/name/resolve/main/small.dat"
BIG = "/org/name/resolve/main/big.safetensors"
TREE = "/api/models/org/name/tree/main"


def ask(hub, path: str, method: str = "GET", **headers: str):
    """The response's status, headers and body; the body as far as it came, without redirects."""
    address = urlsplit(path if path.startswith("http") else hub.endpoint + path)
    connection = http.client.HTTPConnection(address.netloc, timeout=5)
    target = address.path + (f"?{address.query}" if address.query else "")
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    try:
        connection.request(method, target, headers=named)
        response = connection.getresponse()
        try:
            body = response.read()
        except http.client.IncompleteRead as short:
            body = short.partial
        return response.status, response.headers, body
    finally:
        connection.close()


def spoil(hub, action: Action, **rule) -> Fault:
    fault = Fault(action, **rule)
    hub.faults.append(fault)
    return fault


def stored(hub) -> str:
    """The address on the second origin of the large file."""
    return ask(hub, BIG)[1]["Location"]
