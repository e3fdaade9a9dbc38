"""A bound on the bytes that were read and are not solved yet."""

from threading import Condition


class Buffer:
    """Counts bytes between the one who reads and the one who solves.

    The bound may be passed where nothing that could make room is under way: one tensor larger
    than all of it must still be read.
    """

    def __init__(self, limit: int) -> None:
        """Hold up to `limit` bytes."""
        self.limit = limit
        self._held = 0
        self._lent = 0
        self._closed = False
        self._changed = Condition()

    @property
    def closed(self) -> bool:
        """Whether nobody waits for what is read."""
        return self._closed

    def fits(self, size: int) -> bool:
        """Whether `size` more bytes keep the bound."""
        with self._changed:
            return self._held + size <= self.limit

    def add(self, size: int) -> None:
        """Hold `size` more bytes."""
        with self._changed:
            self._held += size

    def drop(self, size: int) -> None:
        """Hold `size` bytes less: they are not needed."""
        with self._changed:
            self._held -= size

    def lend(self) -> None:
        """Something was handed to the solver, who will give it back."""
        with self._changed:
            self._lent += 1

    def give_back(self, size: int) -> None:
        """The solver is done with something of `size` bytes."""
        with self._changed:
            self._lent -= 1
            self._held -= size
            self._changed.notify_all()

    def wait(self) -> bool:
        """Wait until the solver gives something back; False at once where it has nothing."""
        with self._changed:
            before = self._lent
            if before == 0 or self._closed:
                return False
            self._changed.wait_for(lambda: self._lent < before or self._closed)
            return not self._closed

    def close(self) -> None:
        """Nobody will give anything back any more."""
        with self._changed:
            self._closed = True
            self._changed.notify_all()
