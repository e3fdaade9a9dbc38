"""Documents as records, parsed once: the bytes of a sha256 never say anything else."""

from collections import OrderedDict
from threading import Lock
from typing import TypeVar

from pydantic import BaseModel

MOST_BYTES = 16_000_000
"""Of JSON; records take several times as much."""

M = TypeVar("M", bound=BaseModel)


class Parsed:
    """Records that were asked for last, to a bound; they are frozen, so all may share them."""

    def __init__(self, most_bytes: int = MOST_BYTES) -> None:
        """Keep nothing yet."""
        self._most = most_bytes
        self._lock = Lock()
        self._kept: OrderedDict[str, tuple[int, BaseModel]] = OrderedDict()
        self._bytes = 0

    def get(self, kind: type[M], digest: str, content: bytes) -> M:
        """The record of these bytes, which have that sha256. Raises ValidationError."""
        with self._lock:
            if digest in self._kept:
                self._kept.move_to_end(digest)
                _, known = self._kept[digest]
                if isinstance(known, kind):
                    return known
        made = kind.model_validate_json(content)
        if len(content) <= self._most:
            self._put(digest, len(content), made)
        return made

    def _put(self, digest: str, size: int, made: BaseModel) -> None:
        with self._lock:
            before, _ = self._kept.pop(digest, (0, None))
            self._kept[digest] = size, made
            self._bytes += size - before
            while self._bytes > self._most:
                _, (gone, _) = self._kept.popitem(last=False)
                self._bytes -= gone


PARSED = Parsed()
"""Of this process."""
