"""Events as they happen (server-sent events), read from the ledger once for all who follow."""

import asyncio
import json
import time
from collections.abc import AsyncIterator, Iterable
from dataclasses import dataclass, field
from typing import Any

import structlog
from fastapi.concurrency import run_in_threadpool
from fastapi.sse import KEEPALIVE_COMMENT, format_sse_event
from sqlalchemy import Connection, select

from ledger.access import Ledger
from ledger.artifacts import in_parts
from ledger.errors import DatabaseUnavailable
from ledger.events import list_events
from ledger.keys import holder_of
from ledger.states import ENDED
from ledger.tables import jobs
from service.jobs.views import stamp

POLL = 0.25
KEEP_ALIVE = 15.0
LONGEST = 600.0
"""Seconds of one stream; a client comes again with the number of the last event it saw."""

RETRY = 1000
"""Milliseconds after which it should."""

MOST_IN_ONE_READ = 500

log = structlog.get_logger()


@dataclass(slots=True)
class Watched:
    """A job that somebody follows, and all its events so far, ready to be sent."""

    followers: int = 0
    events: list[bytes] = field(default_factory=list)
    ended: bool = False
    changed: asyncio.Event = field(default_factory=asyncio.Event)

    def tell(self) -> None:
        """Wake whoever waits."""
        self.changed.set()
        self.changed = asyncio.Event()


@dataclass(frozen=True, slots=True)
class News:
    """What one look at the ledger found: new events of jobs, and keys that open nothing more."""

    events: dict[str, list[bytes]]
    ended: set[str]
    revoked: set[str]


class Watches:
    """Of one process; used in its event loop alone."""

    def __init__(self, ledger: Ledger) -> None:
        """Watch nothing yet."""
        self._ledger = ledger
        self._watched: dict[str, Watched] = {}
        self._keys: dict[str, int] = {}
        self._revoked: set[str] = set()
        self._task: asyncio.Task[None] | None = None

    @property
    def streams(self) -> int:
        """How many follow."""
        return sum(watched.followers for watched in self._watched.values())

    async def follow(self, job_id: str, after: int, key: str) -> AsyncIterator[bytes]:
        """Events with numbers above `after`, until the job or the key has ended, or ten minutes.

        `key` is the text of the caller's API key; empty where none is needed.
        """
        watched = self._join(job_id, key)
        try:
            yield format_sse_event(retry=RETRY)
            deadline = time.monotonic() + LONGEST
            sent = after
            while time.monotonic() < deadline and key not in self._revoked:
                changed, ended = watched.changed, watched.ended
                fresh = watched.events[sent:]
                sent += len(fresh)
                for event in fresh:
                    yield event
                if ended:
                    return
                if not fresh:
                    try:
                        await asyncio.wait_for(changed.wait(), KEEP_ALIVE)
                    except TimeoutError:
                        yield KEEPALIVE_COMMENT
        finally:
            self._leave(job_id, key)

    def _join(self, job_id: str, key: str) -> Watched:
        watched = self._watched.setdefault(job_id, Watched())
        watched.followers += 1
        self._keys[key] = self._keys.get(key, 0) + 1
        if self._task is None or self._task.done():
            self._task = asyncio.create_task(self._poll())
        return watched

    def _leave(self, job_id: str, key: str) -> None:
        self._watched[job_id].followers -= 1
        if self._watched[job_id].followers == 0:
            del self._watched[job_id]
        self._keys[key] -= 1
        if self._keys[key] == 0:
            del self._keys[key]
            self._revoked.discard(key)

    async def _poll(self) -> None:
        """Look as long as somebody follows."""
        while self._watched:
            seen = {job_id: len(watched.events) for job_id, watched in self._watched.items()}
            keys = [key for key in self._keys if key]
            try:
                self._spread(await run_in_threadpool(self._look, seen, keys), seen)
            except DatabaseUnavailable as error:
                log.warning("streams_wait", reason=str(error))
            except Exception:
                log.exception("streams_failed")
            await asyncio.sleep(POLL)

    def _spread(self, news: News, seen: Iterable[str]) -> None:
        self._revoked |= news.revoked & self._keys.keys()
        for job_id in seen:
            watched = self._watched.get(job_id)
            if watched is None:
                continue
            fresh = news.events.get(job_id, [])
            watched.events += fresh
            watched.ended = job_id in news.ended
            if fresh or watched.ended or news.revoked:
                watched.tell()

    def _look(self, seen: dict[str, int], keys: list[str]) -> News:
        pepper = self._ledger.settings.key_pepper.get_secret_value()
        found = News({}, set(), set())
        with self._ledger.database.read() as connection:
            heads = _heads(connection, seen)
            for job_id, count in seen.items():
                _read(connection, job_id, count, heads.get(job_id), found)
            found.revoked.update(key for key in keys if not holder_of(connection, key, pepper))
        return found


def _heads(connection: Connection, job_ids: Iterable[str]) -> dict[str, tuple[str, int]]:
    """State and number of events by job."""
    found: dict[str, tuple[str, int]] = {}
    for part in in_parts(job_ids):
        query = select(jobs.c.id, jobs.c.state, jobs.c.last_event).where(jobs.c.id.in_(part))
        found |= {row.id: (row.state, row.last_event) for row in connection.execute(query)}
    return found


def _read(
    connection: Connection, job_id: str, count: int, head: tuple[str, int] | None, news: News
) -> None:
    """The events beyond those that were seen; a job that was deleted has ended."""
    if head is None:
        news.ended.add(job_id)
        return
    state, last = head
    if last > count:
        found = list_events(connection, job_id, after=count, limit=MOST_IN_ONE_READ)
        news.events[job_id] = [_sent(event) for event in found]
        count += len(found)
    if state in ENDED and count >= last:
        news.ended.add(job_id)


def _sent(event: dict[str, Any]) -> bytes:
    shown = {name: event[name] for name in ("seq", "level", "type", "message", "data")}
    text = json.dumps({**shown, "time": stamp(event["time"])}, ensure_ascii=False)
    return format_sse_event(data_str=text, event=event["type"], id=str(event["seq"]))
