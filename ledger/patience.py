"""Trying again while the database is away."""

from tenacity import Retrying, retry_if_exception_type, stop_after_delay, wait_random_exponential

from ledger.errors import DatabaseUnavailable


def patient(seconds: float) -> Retrying:
    """Calls what it is given until it works, for so long; for statements that restate their
    condition, so that none is done twice. Raises DatabaseUnavailable in the end.
    """
    return Retrying(
        retry=retry_if_exception_type(DatabaseUnavailable),
        wait=wait_random_exponential(multiplier=0.2, max=5.0),
        stop=stop_after_delay(seconds),
        reraise=True,
    )
