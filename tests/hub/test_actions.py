"""Every fault fires and does what it says."""

import contextlib
import json
import socket
import time
import zlib
from email.utils import formatdate
from urllib.parse import urlsplit

import pytest

from tests.hub import actions
from tests.hub.faults import Fault
from tests.hub.wire import BIG, DATA, FILE, TREE, ask, spoil, stored


@pytest.mark.parametrize("after", ["3", "86400", formatdate(2e9, usegmt=True)])
def test_status(hub, after):
    spoil(hub, actions.status(429, "slow down", error="Limit", Retry_After=after))
    status, headers, body = ask(hub, FILE)
    assert (status, headers["Retry-After"], headers["X-Error-Code"]) == (429, after, "Limit")
    assert json.loads(body) == {"error": "slow down"}


def test_reset(hub):
    fault = spoil(hub, actions.reset())
    with pytest.raises(ConnectionResetError):
        ask(hub, FILE)
    assert (fault.fired, hub.requests[0].status) == (1, None)
    hub.faults = [Fault(actions.reset(after=100))]
    with pytest.raises(ConnectionResetError):
        ask(hub, FILE)


@pytest.mark.parametrize("after", [None, 100])
def test_hang_lasts_until_the_hub_ends(hub, after):
    fault = spoil(hub, actions.hang(after))
    address = urlsplit(hub.endpoint)
    with socket.create_connection((address.hostname, address.port), timeout=5) as client:
        client.sendall(f"GET {FILE} HTTP/1.1\r\nHost: {address.netloc}\r\n\r\n".encode())
        client.settimeout(0.5)
        received = b""
        with contextlib.suppress(TimeoutError):
            while piece := client.recv(4096):
                received += piece
            pytest.fail("the connection ended")
        assert received.split(b"\r\n\r\n")[1:] == ([] if after is None else [DATA[:100]])
        assert fault.fired == 1
        hub.__exit__()
        client.settimeout(5)
        assert client.recv(1) == b""


def test_drip(hub):
    spoil(hub, actions.drip(4096, 0.1))
    begin = time.monotonic()
    assert ask(hub, FILE)[2] == DATA
    assert time.monotonic() - begin >= 0.2


def test_flip_strikes_the_parts_that_hold_the_byte(hub):
    fault = spoil(hub, actions.flip(5000, bit=7))
    wrong = DATA[:5000] + bytes([DATA[5000] ^ 128]) + DATA[5001:]
    assert ask(hub, FILE)[2] == wrong
    assert ask(hub, stored(hub), Range="bytes=4999-5001")[2] == wrong[4999:5002]
    assert fault.fired == 2
    assert ask(hub, FILE, Range="bytes=0-4999")[2] == DATA[:5000]
    assert fault.fired == 2


def test_swap_between_two_ranges(hub):
    fault = spoil(hub, actions.swap(bytes(10240)), path="small", skip=1)
    first, second = (ask(hub, FILE, Range=f"bytes={at}-{at + 9}") for at in (0, 10))
    assert (first[2], second[2]) == (DATA[:10], bytes(10))
    assert first[1]["ETag"] == second[1]["ETag"]
    assert first[1]["X-Repo-Commit"] == second[1]["X-Repo-Commit"]
    hub.faults = [Fault(actions.swap(b"12345", etag='"new"'))]
    status, headers, body = ask(hub, FILE, Range="bytes=2-3")
    assert (status, headers["Content-Range"], body) == (206, "bytes 2-3/5", b"34")
    assert headers["ETag"] == '"new"'
    status, _, body = ask(hub, FILE, Range="bytes=2-3", If_Range=first[1]["ETag"])
    assert (status, body, fault.fired) == (200, b"12345", 1)


def test_swap_with_a_file(hub, tmp_path):
    (tmp_path / "other").write_bytes(bytes(10240))
    spoil(hub, actions.swap(tmp_path / "other"), origin="cdn")
    assert ask(hub, stored(hub))[2] == bytes(10240)


def test_bodies_of_another_length(hub):
    spoil(hub, actions.resize(extra=-100, announce=True))
    status, headers, body = ask(hub, FILE)
    assert (status, headers["Content-Length"], body) == (200, "10140", DATA[:-100])
    hub.faults = [Fault(actions.resize(extra=-100))]
    status, headers, body = ask(hub, FILE)
    assert (headers["Content-Length"], body) == ("10240", DATA[:-100])
    hub.faults = [Fault(actions.resize(times=150, announce=True))]
    assert ask(hub, FILE)[2] == DATA * 150
    assert ask(hub, FILE, "HEAD")[1]["Content-Length"] == "10240"
    hub.faults = [
        Fault(actions.headers(Content_Length=None)),
        Fault(actions.resize(extra=50)),
    ]
    assert ask(hub, FILE)[2] == DATA + bytes(50)


def test_a_longer_body_than_announced(hub):
    spoil(hub, actions.resize(extra=1000))
    address = urlsplit(hub.endpoint)
    with socket.create_connection((address.hostname, address.port), timeout=5) as client:
        client.sendall(f"GET {FILE} HTTP/1.1\r\nHost: {address.netloc}\r\n\r\n".encode())
        received = b"".join(iter(lambda: client.recv(65536), b""))
    head, body = received.split(b"\r\n\r\n", 1)
    assert b"Content-Length: 10240" in head
    assert body == DATA + bytes(1000)


def test_ranges_that_lie(hub):
    spoil(hub, actions.ignore_range())
    assert ask(hub, FILE, Range="bytes=5-9")[::2] == (200, DATA)
    for action, named, part in [
        (actions.misrange(start=7), "bytes 12-16/10240", DATA[5:10]),
        (actions.misrange(total=-40), "bytes 5-9/10200", DATA[5:10]),
        (actions.shift(by=3), "bytes 5-9/10240", DATA[8:13]),
    ]:
        hub.faults = [Fault(action)]
        status, headers, body = ask(hub, FILE, Range="bytes=5-9")
        assert (status, headers["Content-Range"], body) == (206, named, part)
        assert hub.faults[0].fired == 1
        assert ask(hub, FILE)[2] == DATA


def test_gzip_bomb(hub):
    spoil(hub, actions.gzip_bomb(50 * actions.MB))
    _, headers, body = ask(hub, FILE, Range="bytes=0-99")
    assert headers["Content-Encoding"] == "gzip"
    assert int(headers["Content-Length"]) == len(body) < 100_000
    inflated = zlib.decompressobj(wbits=31)
    assert inflated.decompress(body) == bytes(50 * actions.MB)
    assert inflated.eof


def test_headers_missing_or_hostile(hub):
    spoil(hub, actions.headers(ETag=None, X_Repo_Commit=None), path="small")
    spoil(hub, actions.headers(X_Linked_Etag='"../../x"'), path="big", method="HEAD")
    _, headers, body = ask(hub, FILE)
    assert (headers["ETag"], headers["X-Repo-Commit"], body) == (None, None, DATA)
    assert ask(hub, BIG, "HEAD")[1]["X-Linked-Etag"] == '"../../x"'


def test_listings_that_lie(hub):
    spoil(hub, actions.rename("small.dat", "../../small.dat"), path="/tree/")
    paths = [entry["path"] for entry in json.loads(ask(hub, TREE)[2])]
    assert paths == ["big.safetensors", "../../small.dat"]
    hub.faults = [Fault(actions.same_page(), path="/tree/", times=3)]
    address, seen = TREE, 0
    while link := ask(hub, address)[1]["Link"]:
        address = link[1:].split(">")[0]
        seen += 1
    assert (seen, hub.faults[0].fired) == (3, 3)


@pytest.mark.parametrize("target", ["http://10.0.0.1/x", "http://169.254.169.254/latest"])
def test_redirects(hub, target):
    fault = spoil(hub, actions.redirect(target), path="small")
    assert ask(hub, FILE)[1]["Location"] == target
    hub.faults = [Fault(actions.redirect(code=307), path="/cdn/")]
    address = stored(hub)
    status, headers, _ = ask(hub, address)
    assert (status, headers["Location"], fault.fired) == (307, address, 1)


def test_the_hub_changes_during_a_job(hub, tmp_path):
    repository, first = hub.repository("org/name"), ask(hub, FILE)[1]["X-Repo-Commit"]
    hub.tokens["hf_a"] = "alice"
    (tmp_path / "b").mkdir()
    (tmp_path / "b/small.dat").write_bytes(b"new")

    tag = FILE.replace("main", "v1")
    moves = actions.first(lambda: hub.add("org/name", tmp_path / "b", branch="next", tag="v1"))
    spoil(hub, moves, skip=1, times=1)
    assert [ask(hub, tag)[2] for _ in range(3)] == [DATA, b"new", b"new"]
    assert ask(hub, FILE)[1]["X-Repo-Commit"] == first

    hides = actions.first(lambda: setattr(repository, "private", True))
    hub.faults = [Fault(hides, skip=1, times=1)]
    assert [ask(hub, FILE)[0] for _ in range(3)] == [200, 401, 401]

    allowed = {"Authorization": "Bearer hf_a"}
    hub.faults = [Fault(actions.first(hub.tokens.clear), skip=2, times=1)]
    assert [ask(hub, FILE, **allowed)[0] for _ in range(4)] == [200, 200, 401, 401]
