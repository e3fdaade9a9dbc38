"""What a training is asked to be, and what is answered."""

from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from service.jobs.schemas import Envelope, Metadata
from trainer.recipe import PresetName
from worker.requests import TrainingWords


class TrainingRequest(TrainingWords):
    """`{"plan_id": "pln_…", "dataset": "dts_…", "settings": {"schedule.epochs": 2}}`."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "plan_id": "pln_01a2236f1a6ec931edc0e2e520ae6b5a",
                    "dataset": "answers.jsonl",
                    "settings": {"schedule.epochs": 2},
                }
            ]
        }
    )

    preset: PresetName | None = Field(None, description="null: that of the plan's method")
    metadata: Metadata = Field({}, description="labels of your own")

    def words(self) -> TrainingWords:
        """The words of the training."""
        own = {name: getattr(self, name) for name in TrainingWords.model_fields}
        return TrainingWords.model_validate(own)


class RunFile(BaseModel):
    """A file that a training left."""

    name: str = Field(description="such as adapter/adapter_model.safetensors")
    bytes: int
    sha256: str


class TrainingResult(BaseModel):
    """What a training came to. `tailora.training-result/1`."""

    schema_id: Literal["tailora.training-result/1"] = Field(alias="schema")
    status: Literal["finished"]
    steps: int
    before: dict[str, Any] = Field(description="loss, accuracy … on what was held out, untrained")
    after: dict[str, Any] = Field(description="the same with the adapter")
    recipe_digest: str
    files: list[RunFile]
    report: dict[str, Any] = Field(description="what was used of the data, and what was not")


class TrainingEnvelope(Envelope):
    """A training job; `result` is null until it is there."""

    result: TrainingResult | None


class MetricsPage(BaseModel):
    """Lines of metrics, the first ones first."""

    data: list[dict[str, Any]] = Field(
        description="step, steps, epoch, loss, learning_rate, gradient_norm, tokens_per_second, "
        "memory_bytes, and what each router did under mixtures where that was asked for"
    )


class Checkpoint(BaseModel):
    """What a training could go on from."""

    step: int
    bytes: int
    created_at: str


class Checkpoints(BaseModel):
    """Those that are kept, the first ones first."""

    data: list[Checkpoint]


class AdapterFile(RunFile):
    """A file of the adapter."""

    link: str


class Adapter(BaseModel):
    """The trained adapter, as PEFT reads it."""

    data: list[AdapterFile]
