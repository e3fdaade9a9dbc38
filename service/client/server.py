"""Requests to the service: tried again while it asks to wait, within a deadline."""

import hashlib
import uuid
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import httpx2
from tenacity import RetryCallState, Retrying, retry_if_exception_type, stop_before_delay

from analyzer.hub.retry import asked_wait
from analyzer.version import tailora_version
from service.client.address import Address
from service.client.answers import PAUSE, Answer, error_of
from service.client.errors import ClientError, ServiceUnreachable

DEADLINE = 60.0
"""Seconds for one request with all its repetitions."""

TIMEOUT = httpx2.Timeout(connect=5.0, read=45.0, write=30.0, pool=5.0)
BUSY = (429, 503)


class _Again(Exception):
    """An attempt that may go better in some seconds; `final` is what to say after the last one."""

    def __init__(self, seconds: float, final: ClientError) -> None:
        super().__init__(str(final))
        self.seconds = seconds
        self.final = final


class Server:
    """The service at an address. Raises ServiceUnreachable, NotTailora or Refused."""

    def __init__(self, address: Address) -> None:
        """Connect to nothing yet. Redirects are not followed, so the key goes nowhere else."""
        headers = {"User-Agent": f"tailora/{tailora_version()}", "Accept": "application/json"}
        if address.key is not None:
            headers["Authorization"] = f"Bearer {address.key}"
        self.url = address.url
        self._client = httpx2.Client(
            headers=headers, timeout=TIMEOUT, trust_env=not address.on_this_machine
        )
        self._answered = False

    def __enter__(self) -> Self:
        """Keep connections open between requests."""
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Close them."""
        self._client.close()

    def get(self, path: str, **parameters: str | int | list[str] | None) -> Answer:
        """Look something up."""
        given = {name: value for name, value in parameters.items() if value is not None}
        return self._request("GET", path, params=given)

    def post(self, path: str, body: dict[str, Any] | None = None, *, wait: int = 0) -> Answer:
        """Ask for something once, however often the request has to be sent.

        `wait`: seconds that the answer may be held back for the job to end.
        """
        headers = {"Idempotency-Key": str(uuid.uuid4())}
        if wait:
            headers["Prefer"] = f"wait={wait}"
        return self._request("POST", path, json=body, headers=headers)

    def delete(self, path: str) -> None:
        """Remove something."""
        self._request("DELETE", path)

    def upload(
        self, path: str, file: Path, headers: dict[str, str], **parameters: str | None
    ) -> Answer:
        """Send a file's bytes once, however often they have to be sent; none are kept here.

        Raises OSError too, where the file cannot be read.
        """
        given = {name: value for name, value in parameters.items() if value is not None}
        own = {"Idempotency-Key": str(uuid.uuid4()), **headers}
        return self._request("POST", path, file=file, params=given, headers=own)

    def download(self, path: str, file: Path) -> str:
        """Write an answer's body into a file; one that is cut off within a minute is begun again.

        The sha256 of what was written. Raises OSError too, where it cannot be written.
        """
        self._request("GET", path, into=file)
        with file.open("rb") as content:
            return hashlib.file_digest(content, "sha256").hexdigest()

    def _request(self, method: str, path: str, **how: Any) -> Answer:
        retrying = Retrying(
            retry=retry_if_exception_type(_Again),
            wait=_as_asked,
            stop=stop_before_delay(DEADLINE),
            reraise=True,
        )
        try:
            return retrying(self._once, method, path, how)
        except _Again as error:
            raise error.final from error

    def _once(self, method: str, path: str, how: dict[str, Any]) -> Answer:
        try:
            found = self._send(method, path, **how)
        except (httpx2.TransportError, httpx2.DecodingError) as error:
            final = ServiceUnreachable(
                f"{self.url} does not answer ({type(error).__name__}); check TAILORA_URL and "
                "that the service runs"
            )
            if self._answered:
                raise _Again(PAUSE, final) from error
            raise final from error
        self._answered = True
        headers = dict(found.headers)
        if found.is_success:
            return Answer(self.url, found.status_code, found.content, headers)
        final_error = error_of(self.url, found.status_code, found.content, headers)
        asked = asked_wait(headers)
        if found.status_code in BUSY and asked is not None:
            raise _Again(max(asked, 0.1), final_error)
        raise final_error

    def _send(
        self, method: str, path: str, file: Path | None = None, into: Path | None = None, **how: Any
    ) -> httpx2.Response:
        if into is not None:
            return self._write(method, path, into)
        if file is None:
            return self._client.request(method, self.url + path, **how)
        with file.open("rb") as content:
            return self._client.request(method, self.url + path, content=content, **how)

    def _write(self, method: str, path: str, into: Path) -> httpx2.Response:
        with self._client.stream(method, self.url + path) as answer, into.open("wb") as content:
            if not answer.is_success:
                answer.read()
                return answer
            for part in answer.iter_bytes():
                content.write(part)
        return httpx2.Response(answer.status_code, headers=answer.headers)


def _as_asked(state: RetryCallState) -> float:
    error = state.outcome.exception() if state.outcome is not None else None
    return error.seconds if isinstance(error, _Again) else PAUSE
