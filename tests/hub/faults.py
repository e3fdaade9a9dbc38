"""Rules that spoil answers of the double: which requests, how often, and what is done to them."""

import random
import re
import threading
from collections.abc import Callable
from dataclasses import dataclass

from tests.hub.messages import Request, Response

Answer = Callable[[], Response]


def always(request: Request, answer: Answer) -> bool:
    return True


@dataclass(frozen=True)
class Action:
    """`act` gives the answer to send; `answer` is the one that would be sent without the fault.

    Where it does not apply (a body is not cut where none is sent) the request does not count.
    """

    act: Callable[[Request, Answer], Response]
    applies: Callable[[Request, Answer], bool] = always


@dataclass
class Fault:
    """An action on the requests that match: behind the first `skip` of them, `times` in all.

    `path` is a regular expression, searched in the decoded path and query. With a `rate` below 1
    each match is drawn from a generator seeded with `seed`.
    """

    action: Action
    path: str = ""
    method: str | None = None
    origin: str | None = None
    skip: int = 0
    times: int | None = None
    rate: float = 1.0
    seed: int = 0
    fired: int = 0

    def __post_init__(self) -> None:
        self._seen = 0
        self._random = random.Random(self.seed)
        self._lock = threading.Lock()

    def around(self, request: Request, answer: Answer) -> Response:
        if self._matches(request) and self.action.applies(request, answer) and self._claim():
            return self.action.act(request, answer)
        return answer()

    def _matches(self, request: Request) -> bool:
        return (
            self.method in (None, request.method)
            and self.origin in (None, request.origin)
            and re.search(self.path, request.text) is not None
        )

    def _claim(self) -> bool:
        with self._lock:
            self._seen += 1
            spent = self.times is not None and self.fired >= self.times
            if self._seen <= self.skip or spent or self._random.random() >= self.rate:
                return False
            self.fired += 1
            return True
