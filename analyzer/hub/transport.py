"""HTTP with bounds: exactly the bytes asked for, or an error; never more than expected.

Redirects are followed by our own rules, the token is shown to the endpoint alone, no answer is
ever decompressed, and the reading of a body has a deadline and a least speed.
"""

import time
import weakref
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from threading import Event, Lock
from urllib.parse import urljoin, urlsplit

import httpx2

from analyzer.hub.retry import AGAIN, TooLong, Transient, asked_wait, persist
from analyzer.hub.settings import HubSettings
from analyzer.version import tailora_version

REDIRECTS = {301, 302, 303, 307, 308}
MOST_REDIRECTS = 5
LEAST_SPEED = 64_000
SLOW_SECONDS = 30.0


class Requests:
    """How often this process asked the Hub, by the status that came back (`none`: no answer)."""

    def __init__(self) -> None:
        """None yet."""
        self._lock = Lock()
        self._counts: Counter[str] = Counter()

    def add(self, status: str) -> None:
        """Count one."""
        with self._lock:
            self._counts[status] += 1

    def counts(self) -> dict[str, int]:
        """So far."""
        with self._lock:
            return dict(self._counts)


REQUESTS = Requests()


class Refused(Exception):
    """The server's final answer is no."""

    def __init__(self, status: int, code: str, host: str) -> None:
        """`code` is the Hub's X-Error-Code, empty where it sends none."""
        super().__init__(f"{host} answers {status or ''} {code}".replace("  ", " ").rstrip())
        self.status = status
        self.code = code


class Answer:
    """An answer whose body is still to be read, with the headers of all redirects before it."""

    def __init__(self, response: httpx2.Response, passed: dict[str, str]) -> None:
        """`passed` holds the headers of the endpoint's own answer, if it sent us elsewhere."""
        self._response = response
        self.status = response.status_code
        self.headers = _lower(response.headers)
        self.passed = passed or self.headers

    def body(self, most: int, stop: Event) -> Iterator[bytes]:
        """The body in blocks; Transient where it is longer than `most` bytes, stalls or breaks."""
        started = checked = time.monotonic()
        total = since = 0
        deadline = started + 60.0 + most / 1e6
        try:
            # As it comes: a drip must not have to fill a block first.
            for block in self._response.iter_raw():
                total += len(block)
                since += len(block)
                if total > most:
                    raise TooLong("the answer is longer than it should be")
                yield block
                now = time.monotonic()
                if now > deadline:
                    raise Transient(f"no end after {now - started:.0f} s")
                if now - checked > SLOW_SECONDS:
                    if since < LEAST_SPEED * (now - checked):
                        raise Transient(f"less than {LEAST_SPEED // 1000} kB/s")
                    checked, since = now, 0
                if stop.is_set():
                    raise Transient("stopped")
        except httpx2.TransportError as error:
            raise Transient(_reason(error)) from error


class Transport:
    """One HTTP client for the endpoint and where it sends us, usable from several threads."""

    def __init__(self, settings: HubSettings, connections: int) -> None:
        """Open nothing yet."""
        self.settings = settings
        self.stop = Event()
        self._client = httpx2.Client(
            follow_redirects=False,
            timeout=httpx2.Timeout(settings.timeout, pool=None),
            limits=httpx2.Limits(
                max_connections=2 * connections, max_keepalive_connections=2 * connections
            ),
            headers={
                "user-agent": f"tailora/{tailora_version()}",
                "accept-encoding": "identity",
            },
        )
        weakref.finalize(self, self._client.close)

    @contextmanager
    def get(self, url: str, what: str, headers: dict[str, str] | None = None) -> Iterator[Answer]:
        """The answer to GET, with a status of 200 or 206; `what` is what messages call it.

        Each step on the way is tried again by itself. Raises Transient where a new start may
        help, Refused where nothing will, HubUnavailable where nobody answers for too long.
        """
        passed: dict[str, str] = {}
        for _ in range(MOST_REDIRECTS + 1):
            response = persist(what, partial(self._send, url, headers or {}), self.stop)
            try:
                target = response.headers.get("location")
                if response.status_code not in REDIRECTS or not target:
                    self._check(url, response)
                    yield Answer(response, passed)
                    return
                passed |= _lower(response.headers)
                url = self._next(url, target)
            finally:
                response.close()
        raise Transient(f"more than {MOST_REDIRECTS} redirects")

    def _send(self, url: str, headers: dict[str, str]) -> httpx2.Response:
        """An answer whose status is final; its body is still to be read."""
        token = self.settings.token
        if token and self.settings.is_endpoint(url):
            headers = {**headers, "authorization": f"Bearer {token}"}
        try:
            request = self._client.build_request("GET", url, headers=headers)
            response = self._client.send(request, stream=True)
        except (httpx2.TransportError, httpx2.InvalidURL) as error:
            REQUESTS.add("none")
            raise Transient(_reason(error)) from error
        REQUESTS.add(str(response.status_code))
        if response.status_code in AGAIN:
            response.close()
            wait = asked_wait(response.headers)
            raise Transient(f"{_host(url)} answers {response.status_code}", wait)
        return response

    def _next(self, url: str, target: str) -> str:
        found = joined(url, target)
        if found is None or not self.settings.may_follow(found):
            host = ((found and urlsplit(found).hostname) or "nowhere")[:100]
            raise Refused(0, f"with a redirect to {host}, which is not the Hub's", _host(url))
        return found

    def _check(self, url: str, response: httpx2.Response) -> None:
        status = response.status_code
        if status in (200, 206):
            if response.headers.get("content-encoding", "identity") != "identity":
                raise Transient("the answer is compressed, which was not asked for")
            return
        if not self.settings.is_endpoint(url) and status in (401, 403, 404):
            raise Transient(f"{_host(url)} answers {status}: the download link may have expired")
        raise Refused(status, response.headers.get("x-error-code", "")[:64], _host(url))


def joined(url: str, target: str) -> str | None:
    """The absolute form of `target`, as found at `url`; None where it is no address."""
    try:
        return urljoin(url, target)
    except ValueError:
        return None


def _lower(headers: httpx2.Headers) -> dict[str, str]:
    return {name.lower(): value for name, value in headers.items()}


def _host(url: str) -> str:
    """Host and port, without the password that an endpoint may carry."""
    return urlsplit(url).netloc.rpartition("@")[2]


def _reason(error: Exception) -> str:
    """A transport error in words, without the URL, which may carry a signature."""
    words: dict[type[Exception], str] = {
        httpx2.ConnectTimeout: "no connection in time",
        httpx2.ReadTimeout: "no answer in time",
        httpx2.ConnectError: "no connection",
        httpx2.RemoteProtocolError: "the connection broke",
        httpx2.ReadError: "the connection broke",
        httpx2.ProxyError: "the proxy refuses",
    }
    return words.get(type(error), type(error).__name__)
