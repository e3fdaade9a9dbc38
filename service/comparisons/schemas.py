"""What a comparison is asked to be, and what is answered."""

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

from service.jobs.schemas import Envelope, Metadata
from trainer.compare.results import Compared
from trainer.recipe import PresetName
from worker.requests import ComparisonWords


class ComparisonRequest(ComparisonWords):
    """`{"plans": {"alphalora": "pln_…"}, "dataset": "dts_…", "against": ["uniform", "lora"]}`."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "plans": {"alphalora": "pln_01a2236f1a6ec931edc0e2e520ae6b5a"},
                    "dataset": "answers.jsonl",
                    "against": ["uniform", "permuted", "lora"],
                    "seeds": [0, 1, 2],
                }
            ]
        }
    )

    preset: PresetName | None = Field(None, description="null: that of the first plan's method")
    metadata: Metadata = Field({}, description="labels of your own")

    def words(self) -> ComparisonWords:
        """The words of the comparison."""
        own = {name: getattr(self, name) for name in ComparisonWords.model_fields}
        return ComparisonWords.model_validate(own)


class ComparisonResult(BaseModel):
    """What a comparison came to. `tailora.comparison-result/1`."""

    schema_id: Literal["tailora.comparison-result/1"] = Field(alias="schema")
    status: Literal["finished"]
    comparison: Compared


class ComparisonEnvelope(Envelope):
    """A comparison job; `result` is null until it is there."""

    result: ComparisonResult | None
