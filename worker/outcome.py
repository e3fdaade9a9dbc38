"""What a unit comes to."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection


@dataclass(frozen=True, slots=True)
class Outcome:
    """What a unit came to, and what else happens in the transaction that says so."""

    report: dict[str, Any]
    then: Callable[[Connection], None] | None = None
