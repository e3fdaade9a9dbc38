"""The envelope around every job."""

from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, StringConstraints

Status = Literal["queued", "running", "cancelling", "succeeded", "failed", "cancelled"]
Label = Annotated[str, StringConstraints(max_length=64)]
LabelValue = Annotated[str, StringConstraints(max_length=512)]
Metadata = Annotated[dict[Label, LabelValue], Field(max_length=16)]


class Progress(BaseModel):
    """How far a job is."""

    phase: str | None = Field(
        description="outline, measuring, waiting, training, assembling, or null"
    )
    done: int
    total: int
    unit: Literal["spectra", "steps", "trainings"] = "spectra"
    fraction: float | None = Field(description="null until the total is known")
    eta_seconds: float | None = Field(description="by what was done so far; null at first")


class JobError(BaseModel):
    """Why a job failed."""

    code: str
    title: str
    detail: str
    retryable: bool


_PLAN = "/v1/plans/pln_01a2236f1a6ec931edc0e2e520ae6b5a"
EXAMPLE: dict[str, Any] = {
    "id": "pln_01a2236f1a6ec931edc0e2e520ae6b5a",
    "object": "plan",
    "status": "running",
    "model": "Qwen/Qwen3-8B",
    "revision": "b968826d9c46dd6066d109eabc6255188de91218",
    "created_at": "2026-01-31T12:00:00.000Z",
    "started_at": "2026-01-31T12:00:00.250Z",
    "finished_at": None,
    "attempt": 1,
    "progress": {
        "phase": "measuring",
        "done": 63,
        "total": 252,
        "unit": "spectra",
        "fraction": 0.25,
        "eta_seconds": 180.0,
    },
    "error": None,
    "metadata": {"team": "research"},
    "links": {"self": _PLAN, "events": f"{_PLAN}/events", "cancel": f"{_PLAN}/cancel"},
    "request": {"expert_budget": 180, "method": "alphalora"},
    "analysis_id": "ana_01a2236f1a7003cd8f6a4b1e20c5d798",
}


class Envelope(BaseModel):
    """A job. Times are RFC 3339 in UTC."""

    model_config = ConfigDict(json_schema_extra={"examples": [EXAMPLE]})

    id: str
    object: Literal["plan", "analysis", "model_info", "training", "comparison"]
    status: Status
    model: str
    revision: str | None = Field(description="the commit; null for local files")
    created_at: str
    started_at: str | None
    finished_at: str | None
    attempt: int = Field(description="1, and one more for every retry")
    progress: Progress
    error: JobError | None
    metadata: dict[str, str]
    links: dict[str, str]
    request: dict[str, Any] = Field(description="what was asked for, defaults included")
    analysis_id: str | None = Field(None, description="the analysis that a plan is made from")


class Event(BaseModel):
    """One step of a job."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "seq": 2,
                    "time": "2026-01-31T12:00:00.000Z",
                    "level": "info",
                    "type": "started",
                    "message": "a worker took the first unit",
                    "data": None,
                }
            ]
        }
    )

    seq: int
    time: str
    level: Literal["info", "warning", "error"]
    type: str
    message: str
    data: dict[str, Any] | None


class Events(BaseModel):
    """Events, the first ones first."""

    data: list[Event]
    has_more: bool


class Page(BaseModel):
    """Jobs, newest first, without their documents."""

    data: list[Envelope]
    has_more: bool
    next: str | None = Field(description="cursor for `after`; null on the last page")
