"""Which failures are tried again, and when."""

import random
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from threading import Event
from typing import TypeVar

from analyzer.errors import HubUnavailable

TRIES = 6
LONGEST_PAUSE = 30.0
LONGEST_WAIT = 120.0
"""Seconds that a Retry-After may ask for; a longer one ends the attempt."""

AGAIN = {408, 429, 500, 502, 503, 504}

Result = TypeVar("Result")


class Transient(Exception):
    """An attempt failed in a way that another may not; `wait` is what the server asked for."""

    def __init__(self, reason: str, wait: float | None = None) -> None:
        """Say why, and how many seconds the server wants to be left alone."""
        super().__init__(reason)
        self.wait = wait


class TooLong(Transient):
    """The server sends more than it should, so nothing of its answer is kept."""


def persist(what: str, attempt: Callable[[], Result], stop: Event) -> Result:
    """The result of `attempt`, tried up to six times with growing random pauses.

    Raises HubUnavailable where all fail, the server asks to wait for too long, or `stop` is set.
    """
    reason = "stopped"
    for number in range(TRIES):
        try:
            return attempt()
        except Transient as error:
            reason = str(error)
            if error.wait is not None and error.wait > LONGEST_WAIT:
                raise HubUnavailable(
                    f"{what}: {reason}, asking to wait {error.wait:.0f} s; run again after that, "
                    "what was solved is kept"
                ) from error
            pause = random.uniform(0.0, min(LONGEST_PAUSE, 2.0**number))
            last = number == TRIES - 1
            if not last and stop.wait(max(pause, error.wait or 0.0)):
                raise HubUnavailable(f"{what}: {reason}; stopped") from error
    raise HubUnavailable(
        f"{what}: {reason}, {TRIES} times; run again later, what was solved is kept"
    )


def asked_wait(headers: Mapping[str, str]) -> float | None:
    """Seconds that a Retry-After header (a number or a date) or a RateLimit header asks for."""
    value = headers.get("retry-after", "").strip()
    if not value:
        return _rate_limit_reset(headers.get("ratelimit", ""))
    if value.isdecimal() and value.isascii():
        return float(value[:12])
    try:
        date = parsedate_to_datetime(value).astimezone(UTC)
    except (ValueError, OverflowError):
        return None
    return max(0.0, (date - datetime.now(UTC)).total_seconds())


def _rate_limit_reset(header: str) -> float | None:
    """The `t` of `"api";r=0;t=123` where nothing remains."""
    fields = dict(part.strip().partition("=")[::2] for part in header.split(";"))
    seconds = fields.get("t", "")
    spent = fields.get("r") == "0" and seconds.isdecimal() and len(seconds) < 9
    return float(seconds) if spent else None
