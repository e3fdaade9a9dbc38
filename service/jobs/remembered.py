"""Answers that are made once: bodies of jobs that have ended."""

from collections import OrderedDict
from dataclasses import dataclass
from threading import Lock
from typing import Any

from ledger.jobs import Count
from ledger.reach import Reach
from service.moments import Moments

MOST_BYTES = 16_000_000
MOST_SEEN = 10_000
MOST_ALIKE = 100
SECONDS = 1.0


@dataclass(frozen=True, slots=True)
class Body:
    """A job's envelope with its document, as they are sent."""

    etag: str
    content: bytes
    complete: bool
    """Whether the document is there."""

    error: dict[str, Any] | None
    retry_after: int | None


class EndedJobs:
    """Bodies of jobs that have ended, with their last event; the ones asked for last, to a bound.

    One that has succeeded can only be deleted: it is looked at once a second at most.
    """

    def __init__(self) -> None:
        """Keep nothing yet."""
        self._lock = Lock()
        self._bodies: OrderedDict[str, tuple[int, Body]] = OrderedDict()
        self._bytes = 0
        self._seen: Moments[tuple[Reach, str, str], int] = Moments(SECONDS, MOST_SEEN)
        self._alike: dict[tuple[str, str | None], tuple[str, Count]] = {}

    def alike(self, artifact: str, analysis_id: str | None) -> tuple[str, Count] | None:
        """The document, and how much was measured for it, of jobs that came to the same."""
        return self._alike.get((artifact, analysis_id))

    def remember_alike(
        self, artifact: str, analysis_id: str | None, known: tuple[str, Count]
    ) -> None:
        """Keep that for the next one."""
        if len(self._alike) >= MOST_ALIKE:
            self._alike.clear()
        self._alike[artifact, analysis_id] = known

    def glimpse(self, reach: Reach, kind: str, job_id: str) -> Body | None:
        """The body of a job that had succeeded and was there a moment ago."""
        last_event = self._seen.get((reach, kind, job_id))
        return None if last_event is None else self.get(job_id, last_event)

    def was_there(self, reach: Reach, kind: str, job_id: str, last_event: int) -> None:
        """Remember for a moment that a job is there."""
        self._seen.put((reach, kind, job_id), last_event)

    def forget(self, job_id: str) -> None:
        """A job was deleted by this process."""
        self._seen.forget(*(key for key in self._seen.known() if key[2] == job_id))

    def knows(self, job_id: str) -> bool:
        """Whether a body of that job is kept, which may be of before a retry."""
        return job_id in self._bodies

    def get(self, job_id: str, last_event: int) -> Body | None:
        """The body, where it was kept."""
        with self._lock:
            found = self._bodies.get(job_id)
            if found is None or found[0] != last_event:
                return None
            self._bodies.move_to_end(job_id)
            return found[1]

    def put(self, job_id: str, last_event: int, body: Body) -> None:
        """Keep a body, in the place of an earlier one."""
        with self._lock:
            _, before = self._bodies.pop(job_id, (0, None))
            self._bodies[job_id] = last_event, body
            self._bytes += len(body.content) - (len(before.content) if before else 0)
            while self._bytes > MOST_BYTES:
                _, (_, gone) = self._bodies.popitem(last=False)
                self._bytes -= len(gone.content)
