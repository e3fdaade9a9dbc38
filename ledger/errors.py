"""The errors of `ledger`.

    LedgerError
    ├── SettingsError        a setting that cannot be; the message names its variable
    ├── DatabaseUnavailable  the database does not answer, or gave up on a statement
    ├── WrongVersion         the database's tables are not those of this version
    ├── NotFound             no such job, analysis, dataset or key, or not this owner's
    ├── Conflict             the state of a job does not allow it
    ├── KeyReused            an idempotency key came back with another request
    ├── NoRoom               an owner's datasets take as much as they may
    ├── QuotaExceeded        an owner has asked for as much as it may; carries when to try again
    ├── InvalidCursor        a page cursor that this service did not make for this list
    │   └── ExpiredCursor    one that is too old
    ├── PathNotAllowed       a local model outside the allowed folders
    └── DamagedArtifact      kept bytes that are not what was written

Every message is one line that names the thing, the cause and the next step.
"""


class LedgerError(Exception):
    """Base class of every error that `ledger` raises on purpose."""


class SettingsError(LedgerError):
    """A setting that cannot be."""


class DatabaseUnavailable(LedgerError):
    """The database does not answer, or gave up on a statement."""


class WrongVersion(LedgerError):
    """The database's tables are not those of this version."""


class NotFound(LedgerError):
    """No such job, analysis, dataset or key, or not this owner's."""


class Conflict(LedgerError):
    """The job's state does not allow it."""


class KeyReused(LedgerError):
    """An idempotency key came back with another request."""


class QuotaExceeded(LedgerError):
    """An owner has asked for as much as it may."""

    def __init__(self, message: str, seconds: float) -> None:
        """Try again after so many seconds."""
        super().__init__(message)
        self.seconds = seconds


class NoRoom(LedgerError):
    """An owner's datasets take as much as they may."""


class InvalidCursor(LedgerError):
    """A page cursor that this service did not make for this list."""


class ExpiredCursor(InvalidCursor):
    """A page cursor that is too old."""


class PathNotAllowed(LedgerError):
    """A local model outside the allowed folders."""


class DamagedArtifact(LedgerError):
    """Kept bytes that are not what was written."""
