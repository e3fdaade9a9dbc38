"""States of jobs and units."""

LIVE = ("queued", "running")
"""Of a job that wants its units."""

ENDED = ("succeeded", "failed", "cancelled")
"""Of a job that will not change any more; `cancelling` is neither live nor ended."""

UNENDED = (*LIVE, "cancelling")
"""Of a job that has not ended, as an index can find it."""

OPEN = ("queued", "sent", "leased")
"""Of a unit that is not done."""
