"""The errors of `worker`.

    WorkerError
    ├── Stopped          the unit is no longer this worker's, or nobody wants it any more
    ├── Unmeasured       spectra that a job needs are not kept (any more)
    ├── RunFailed        a training ended with an error of its own
    ├── RunLost          a training's process died without a word
    ├── FolderBusy       another process has the training's folder, or it has not begun yet
    └── WorkerMissing    the worker process cannot be started

Every message is one line that names the thing, the cause and the next step.
"""


class WorkerError(Exception):
    """Base class of every error that `worker` raises on purpose."""


class Stopped(WorkerError):
    """The unit is no longer this worker's, or nobody wants it any more."""


class Unmeasured(WorkerError):
    """Spectra that a job needs are not kept (any more)."""


class RunFailed(WorkerError):
    """A training ended with an error of its own."""

    def __init__(self, error: dict[str, object]) -> None:
        """`error`: code, detail and retryable, as its process wrote them."""
        super().__init__(str(error["detail"]))
        self.error = error


class RunLost(WorkerError):
    """A training's process died without a word."""


class FolderBusy(WorkerError):
    """Another process has the training's folder, or it was asked to end before it began."""


class WorkerMissing(WorkerError):
    """The worker process cannot be started."""
