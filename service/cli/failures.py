"""From an error to one line on stderr and an exit code.

0 done, 1 job failed, 2 usage, 3 service unreachable, 4 not found or gated, 5 bad model data,
130 interrupted.
"""

from allocator.errors import AllocatorError
from analyzer.errors import AnalyzerError, BadModel, HubUnavailable, ModelNotFound
from ledger.errors import DatabaseUnavailable, LedgerError, NotFound, PathNotAllowed
from service.client.errors import ClientError, JobFailed, Refused, ServiceUnreachable
from service.figures.errors import FigureError
from trainer.errors import BadAdapter, ModelMismatch, TrainerError
from worker.errors import WorkerError


class CommandError(Exception):
    """What was typed cannot be done."""


EXPECTED = (
    CommandError, AnalyzerError, AllocatorError, TrainerError, LedgerError, WorkerError,
    ClientError, FigureError,
)  # fmt: skip
"""Errors that are the user's to mend: one line, no traceback."""

FAILED, USAGE, UNREACHABLE, NOT_FOUND, BAD_DATA, INTERRUPTED = 1, 2, 3, 4, 5, 130

_KINDS: tuple[tuple[type[Exception], int], ...] = (
    (HubUnavailable, UNREACHABLE),
    (DatabaseUnavailable, UNREACHABLE),
    (ServiceUnreachable, UNREACHABLE),
    (ModelNotFound, NOT_FOUND),
    (NotFound, NOT_FOUND),
    (PathNotAllowed, NOT_FOUND),
    (BadModel, BAD_DATA),
    (BadAdapter, BAD_DATA),
    (ModelMismatch, BAD_DATA),
)
_CODES = {
    "database_unavailable": UNREACHABLE,
    "hub_unavailable": UNREACHABLE,
    "model_gated": NOT_FOUND,
    "model_not_found": NOT_FOUND,
    "not_found": NOT_FOUND,
    "path_not_allowed": NOT_FOUND,
    "revision_not_found": NOT_FOUND,
    "bad_model": BAD_DATA,
    "corrupt_file": BAD_DATA,
    "missing_shard": BAD_DATA,
    "nothing_to_analyse": BAD_DATA,
    "unreadable_file": BAD_DATA,
    "unsupported_format": BAD_DATA,
    "damaged_artifact": FAILED,
    "deadline_exceeded": FAILED,
    "internal_error": FAILED,
    "spectra_missing": FAILED,
    "store_error": FAILED,
    "worker_lost": FAILED,
    "budget_infeasible": USAGE,
    "invalid_option": USAGE,
}
"""The service's codes that have an exit code of their own."""

_SERVER_EXTRA = {
    "alembic", "celery", "fastapi", "filelock", "kombu", "psutil", "psycopg", "pydantic_settings",
    "redis", "sqlalchemy", "starlette", "structlog", "tenacity", "uvicorn",
}  # fmt: skip
"""What `pip install 'tailora[server]'` brings."""

_TRAIN_EXTRA = {"accelerate", "datasets", "peft", "torch", "transformers"}
"""What `pip install 'tailora[train]'` brings."""


def exit_code(error: Exception) -> int:
    """The exit code of an expected error."""
    if isinstance(error, Refused):
        return _CODES.get(error.code, USAGE)
    if isinstance(error, JobFailed):
        return _CODES.get(error.code, FAILED)
    return next((code for kind, code in _KINDS if isinstance(error, kind)), USAGE)


def explained(error: Exception) -> str | None:
    """The one line of an expected error; None for one that nobody expected."""
    if isinstance(error, EXPECTED):
        return str(error)
    if isinstance(error, ModuleNotFoundError):
        missing = (error.name or "").partition(".")[0]
        for extra, brings in (("server", _SERVER_EXTRA), ("train", _TRAIN_EXTRA)):
            if missing in brings:
                return (
                    f"this command needs {missing}, which is not installed; install it with "
                    f"`pip install 'tailora[{extra}]'`"
                )
    return None
