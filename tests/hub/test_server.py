"""Answers without faults: heads, ranges, the rate."""

import time
from concurrent.futures import ThreadPoolExecutor
from urllib.parse import urlsplit

import pytest

from tests.hub.wire import BIG, DATA, FILE, ask, stored


def test_without_faults(hub):
    status, headers, body = ask(hub, FILE)
    assert (status, body, headers["Accept-Ranges"]) == (200, DATA, "bytes")
    status, headers, body = ask(hub, BIG, "HEAD")
    assert (status, headers["X-Linked-Size"], body) == (302, str(len(DATA)), b"")
    assert headers["X-Repo-Commit"] == hub.repository("org/name").branches["main"]
    assert urlsplit(headers["Location"]).hostname == "localhost"
    assert ask(hub, headers["Location"])[2] == DATA
    assert not [name for name in headers if name.lower().startswith("x-xet")]
    assert ask(hub, "/api/agents")[0] == 404


@pytest.mark.parametrize("path", [FILE, BIG])
@pytest.mark.parametrize(
    ("range", "start", "stop"),
    [
        ("bytes=0-0", 0, 1),
        ("bytes=100-199", 100, 200),
        ("bytes=10000-", 10000, 10240),
        ("bytes=-5", 10235, 10240),
        ("bytes=10239-99999", 10239, 10240),
    ],
)
def test_ranges(hub, path, range, start, stop):
    url = stored(hub) if path == BIG else path
    status, headers, body = ask(hub, url, Range=range)
    assert (status, body) == (206, DATA[start:stop])
    assert headers["Content-Range"] == f"bytes {start}-{stop - 1}/10240"
    etag = headers["ETag"]
    assert ask(hub, url, Range=range, If_Range=etag)[0] == 206
    assert ask(hub, url, Range=range, If_Range='"other"')[::2] == (200, DATA)
    assert ask(hub, url, Range=range, If_Match='"other"')[0] == 412
    status, headers, _ = ask(hub, url, Range="bytes=10240-")
    assert (status, headers["Content-Range"]) == (416, "bytes */10240")
    assert hub.requests[-1].range == "bytes=10240-"
    assert hub.requests[-3].if_range == '"other"'


def test_connections_share_a_rate(hub, tmp_path):
    (tmp_path / "b").mkdir()
    (tmp_path / "b/big.safetensors").write_bytes(bytes(2_000_000))
    hub.add("org/name", tmp_path / "b")
    address = stored(hub)
    hub.clear()
    hub.rate = 10e6
    begin = time.monotonic()
    with ThreadPoolExecutor(4) as pool:
        bodies = list(pool.map(lambda _: ask(hub, address)[2], range(4)))
    # Never faster than the rate; how much slower depends on the machine.
    assert time.monotonic() - begin >= 0.8
    assert hub.bytes_served("big") == sum(map(len, bodies)) == 8_000_000
