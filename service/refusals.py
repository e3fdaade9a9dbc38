"""How often an address may come without a valid key."""

import math
import time

from limits import RateLimitItemPerMinute
from limits.storage import MemoryStorage
from limits.strategies import MovingWindowRateLimiter

from service.problems import Problem


class Refusals:
    """Of one process, by address. Whoever has a valid key is never counted."""

    def __init__(self, per_minute: int) -> None:
        """Zero: no limit."""
        self._most = RateLimitItemPerMinute(per_minute) if per_minute else None
        self._limiter = MovingWindowRateLimiter(MemoryStorage())

    def count(self, address: str) -> None:
        """Count one that is refused. Raises Problem where there were too many of late."""
        if self._most is None or self._limiter.hit(self._most, address):
            return
        wait = self._limiter.get_window_stats(self._most, address).reset_time
        raise Problem(
            "quota_exceeded",
            "too many requests without a valid key from your address; send a valid one",
            headers={"Retry-After": str(max(1, math.ceil(wait - time.time())))},
        )
