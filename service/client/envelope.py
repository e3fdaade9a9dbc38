"""The documents of the service, as far as a client reads them; other fields are left alone."""

from typing import Any, Literal

from pydantic import BaseModel, ConfigDict

Status = Literal["queued", "running", "cancelling", "succeeded", "failed", "cancelled"]
ENDED = ("succeeded", "failed", "cancelled")


class Part(BaseModel):
    """Base of what is read: words that a newer service adds are no error."""

    model_config = ConfigDict(extra="ignore", frozen=True)


class Progress(Part):
    """How far a job is."""

    phase: str | None = None
    done: int | None = None
    total: int | None = None


class JobError(Part):
    """Why a job failed."""

    code: str
    detail: str


class Envelope(Part):
    """A plan, an analysis, or a look at a model."""

    id: str
    object: str
    status: Status
    model: str
    created_at: str
    started_at: str | None = None
    finished_at: str | None = None
    progress: Progress | None = None
    error: JobError | None = None
    plan: dict[str, Any] | None = None
    outline: dict[str, Any] | None = None

    @property
    def ended(self) -> bool:
        """Whether it will not change any more."""
        return self.status in ENDED


class Event(Part):
    """Something that happened to a job."""

    seq: int
    time: str
    level: str
    type: str
    message: str
