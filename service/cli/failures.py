"""From an error to one line on stderr and an exit code.

0 done, 1 job failed, 2 usage, 3 service unreachable, 4 not found or gated, 5 bad model data,
130 interrupted.
"""

from allocator.errors import AllocatorError
from analyzer.errors import AnalyzerError, BadModel, HubUnavailable, ModelNotFound


class CommandError(Exception):
    """What was typed cannot be done."""


EXPECTED = (CommandError, AnalyzerError, AllocatorError)
"""Errors that are the user's to mend: one line, no traceback."""

USAGE, UNREACHABLE, NOT_FOUND, BAD_DATA, INTERRUPTED = 2, 3, 4, 5, 130


def exit_code(error: Exception) -> int:
    """The exit code of an expected error."""
    if isinstance(error, HubUnavailable):
        return UNREACHABLE
    if isinstance(error, ModelNotFound):
        return NOT_FOUND
    if isinstance(error, BadModel):
        return BAD_DATA
    return USAGE
