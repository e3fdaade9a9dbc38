"""One thing that was looked at, and how to look so that nothing hangs or breaks."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal

from service.cli.failures import explained
from service.cli.health import within


@dataclass(frozen=True, slots=True)
class Finding:
    """How a thing is, and what to do about it where it is not well."""

    name: str
    status: Literal["ok", "warn", "fail"]
    detail: str
    advice: str = ""


Look = Callable[[], Sequence[Finding]]


def looked(name: str, seconds: float, look: Look) -> list[Finding]:
    """What a look finds; one that breaks or hangs is a failure with its reason."""
    try:
        return list(within(seconds, look))
    except Exception as error:
        reason = explained(error)
        if reason is None:
            reason = f"{type(error).__name__}: {error}"
        detail, _, advice = reason.partition("; ")
        return [Finding(name, "fail", detail, advice)]
