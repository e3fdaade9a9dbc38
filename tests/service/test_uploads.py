"""Uploads to a real process: bounded in memory and on the disk, whatever the client does."""

import os
import signal
import socket
import threading
import time

import httpx2
import psutil
import pytest

from tests.service.cli_service import process, serving
from tests.service.command import run

LIMIT = 60_000_000
LINE = b'{"text": "' + b"a" * 988 + b'"}\n'
JSONL = {"content-type": "application/x-ndjson"}
SIZE = 50_000_000


@pytest.fixture(scope="module")
def running(tmp_path_factory):
    folder = tmp_path_factory.mktemp("uploads")
    run("db", "upgrade", TAILORA_DATA=folder / "data")
    own = {"TAILORA_DATASET_BYTES": str(LIMIT)}
    with serving(folder, command="api", ready="listening", **own) as found:
        yield found


def kept(running) -> list[str]:
    """Names of files, of drafts too."""
    folder = running.data / "artifacts"
    return sorted(path.name for path in folder.rglob("*") if path.is_file())


def listed(running) -> list[dict]:
    return httpx2.get(f"{running.url}/v1/datasets").json()["data"]


def wait_until(happened) -> None:
    end = time.monotonic() + 10
    while not happened():
        assert time.monotonic() < end
        time.sleep(0.02)


class Peak:
    """The most memory that a process has while it is watched."""

    def __init__(self, pid: int) -> None:
        self._process = psutil.Process(pid)
        self._done = threading.Event()
        self._thread = threading.Thread(target=self._watch)
        self.first = self.most = self._process.memory_info().rss

    def __enter__(self):
        self._thread.start()
        return self

    def __exit__(self, *_):
        self._done.set()
        self._thread.join()

    def _watch(self) -> None:
        while not self._done.wait(0.005):
            self.most = max(self.most, self._process.memory_info().rss)


def endless(count: int):
    for _ in range(count):
        yield LINE * 100


def post(running, content, **words) -> httpx2.Response:
    params = {"name": "large.jsonl", **words}
    return httpx2.post(
        f"{running.url}/v1/datasets", params=params, content=content, headers=JSONL, timeout=60
    )


def test_memory_does_not_grow_with_the_upload(running):
    assert post(running, b'{"text": "a"}\n', name="small").status_code == 201
    with Peak(running.process.pid) as peak:
        made = post(running, endless(SIZE // (100 * len(LINE))))
    assert made.status_code == 201, made.text
    assert made.json()["bytes"] == SIZE // (100 * len(LINE)) * 100 * len(LINE)
    assert kept(running) == [made.json()["sha256"]]
    grown = peak.most - peak.first
    print(f"{made.json()['bytes']} bytes came, memory grew by {grown}")
    assert grown < SIZE / 2
    httpx2.delete(running.url + made.json()["links"]["self"])
    assert kept(running) == []


@pytest.mark.parametrize("announced", [True, False])
def test_more_than_the_limit_is_refused(running, announced):
    before = listed(running)
    count = LIMIT // (100 * len(LINE)) + 200
    content = b"".join(endless(count)) if announced else endless(count)
    with Peak(running.process.pid) as peak:
        answer = post(running, content)
    assert (answer.status_code, answer.json()["code"]) == (413, "body_too_large")
    assert peak.most - peak.first < LIMIT / 2
    assert (listed(running), kept(running)) == (before, [])


def half(running, headers: str) -> socket.socket:
    """A connection on which an upload has begun, with a draft of it on the disk."""
    port = int(running.url.rpartition(":")[2])
    client = socket.create_connection(("127.0.0.1", port))
    client.sendall(
        f"POST /v1/datasets?name=half.jsonl HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\n"
        f"Content-Type: application/x-ndjson\r\n{headers}\r\n\r\n".encode()
    )
    return client


def test_an_upload_that_breaks_off_leaves_nothing(running):
    before = listed(running)
    piece = LINE * 3000
    for headers, start in (
        (f"Content-Length: {2 * len(piece)}", piece),
        ("Transfer-Encoding: chunked", b"%x\r\n%s\r\n" % (len(piece), piece)),
    ):
        with half(running, headers) as client:
            client.sendall(start)
            wait_until(lambda: kept(running))
            (draft,) = kept(running)
            assert draft.startswith(".new-")
        wait_until(lambda: not kept(running))
    assert listed(running) == before
    assert "Traceback" not in running.process.text()


def test_who_waits_for_leave_sends_nothing_that_is_refused(running):
    """`Expect: 100-continue`: the answer comes in place of the leave."""
    with half(running, f"Content-Length: {LIMIT + 1}\r\nExpect: 100-continue") as client:
        assert client.recv(20).startswith(b"HTTP/1.1 413")
    with half(running, f"Content-Length: {len(LINE)}\r\nExpect: 100-continue") as client:
        assert client.recv(25) == b"HTTP/1.1 100 Continue\r\n\r\n"
        client.sendall(LINE)
        assert client.recv(20).startswith(b"HTTP/1.1 201")


@pytest.mark.slow
def test_what_a_kill_leaves_is_swept_at_the_next_start(tmp_path):
    with serving(tmp_path, command="serve", ready="listening") as first:
        with half(first, "Content-Length: 90000000") as client:
            client.sendall(LINE * 3000)
            wait_until(lambda: kept(first))
            os.kill(first.process.pid, signal.SIGKILL)
            first.process.wait()
        first.process.kill_group()
        assert len(kept(first)) == 1
    own = {"TAILORA_DATA": str(first.data), "TAILORA_PORT": "0"}
    with process(tmp_path / "again", "serve", **own) as again:
        again.wait_for("listening")
        assert kept(first) == []
