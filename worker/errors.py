"""The errors of `worker`.

    WorkerError
    ├── Stopped          the unit is no longer this worker's, or nobody wants it any more
    ├── Unmeasured       spectra that a job needs are not kept (any more)
    └── WorkerMissing    the worker process cannot be started

Every message is one line that names the thing, the cause and the next step.
"""


class WorkerError(Exception):
    """Base class of every error that `worker` raises on purpose."""


class Stopped(WorkerError):
    """The unit is no longer this worker's, or nobody wants it any more."""


class Unmeasured(WorkerError):
    """Spectra that a job needs are not kept (any more)."""


class WorkerMissing(WorkerError):
    """The worker process cannot be started."""
