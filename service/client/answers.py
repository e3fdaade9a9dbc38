"""What the service answers: JSON of ours, a problem with its code, or something else altogether."""

import json
from dataclasses import dataclass, field
from typing import Any, TypeVar

from pydantic import BaseModel, ValidationError

from analyzer.hub.retry import asked_wait
from analyzer.text import shown
from service.client.errors import ClientError, NotTailora, Refused

PAUSE, SHORTEST, LONGEST = 1.0, 0.1, 30.0
"""Seconds between two looks at a job where the service does not say, and at least and most."""

Model = TypeVar("Model", bound=BaseModel)


@dataclass(frozen=True, slots=True)
class Answer:
    """A successful answer."""

    origin: str
    status: int
    content: bytes = field(repr=False)
    headers: dict[str, str] = field(repr=False)

    @property
    def pause(self) -> float:
        """Seconds until the next look that the service asks for."""
        asked = asked_wait(self.headers)
        return min(LONGEST, max(SHORTEST, PAUSE if asked is None else asked))

    def read(self, kind: type[Model]) -> Model:
        """The document as one of ours. Raises NotTailora."""
        try:
            return kind.model_validate_json(self.content)
        except ValidationError as error:
            if error.errors()[0]["type"] == "json_invalid":
                raise not_tailora(self.origin, self.status, self.headers) from error
            raise another_version(self.origin, error) from error

    def document(self, kind: type[BaseModel]) -> dict[str, Any]:
        """The document as it was sent, once it reads as one of ours. Raises NotTailora."""
        self.read(kind)
        found = json.loads(self.content)
        assert isinstance(found, dict)
        return found


def error_of(origin: str, status: int, content: bytes, headers: dict[str, str]) -> ClientError:
    """The error behind an answer that is not a success."""
    try:
        found = json.loads(content)
    except (ValueError, RecursionError):
        found = None
    code = found.get("code") if isinstance(found, dict) else None
    detail = found.get("detail") if isinstance(found, dict) else None
    if not (isinstance(code, str) and isinstance(detail, str)):
        return not_tailora(origin, status, headers)
    return Refused(code, shown(detail, 2000))


def not_tailora(origin: str, status: int, headers: dict[str, str]) -> NotTailora:
    """Something answers, but not in our words."""
    kind = shown(headers.get("content-type", "").partition(";")[0] or "no content type", 60)
    return NotTailora(
        f"{origin} answers {status} with {kind}, not as TaiLoRA does; check TAILORA_URL and what "
        "stands in front of the service"
    )


def another_version(origin: str, error: Exception) -> NotTailora:
    """The answer is JSON that this version does not read."""
    reason = str(error)
    if isinstance(error, ValidationError):
        first = error.errors()[0]
        reason = f"{'.'.join(map(str, first['loc']))}: {first['msg']}"
    return NotTailora(
        f"{origin} answers with what this version does not read ({shown(reason, 120)}); check "
        "TAILORA_URL, or bring command and service to one version"
    )
