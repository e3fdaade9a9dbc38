"""States of jobs and units."""

LIVE = ("queued", "running")
"""Of a job that wants its units."""

ENDED = ("succeeded", "failed", "cancelled")
"""Of a job that will not change any more; `cancelling` is neither live nor ended."""

OPEN = ("queued", "sent", "leased")
"""Of a unit that is not done."""
