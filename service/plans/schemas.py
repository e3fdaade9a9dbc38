"""What a plan is asked to be, and what is answered."""

from typing import Annotated, Any

from pydantic import ConfigDict, Field, StringConstraints, model_validator

from allocator.plan import Plan
from service.jobs.schemas import Envelope, Metadata
from worker.requests import MeasuringWords, PlanWords

AnalysisId = Annotated[str, StringConstraints(pattern=r"^ana_[0-9a-f]+$", max_length=64)]


class PlanRequest(PlanWords):
    """`{"model": "…", "expert_budget": 160, "method": "alphalora"}` and the command's options."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [{"model": "Qwen/Qwen3-8B", "expert_budget": 180, "method": "alphalora"}]
        }
    )

    model: Annotated[str, StringConstraints(min_length=1, max_length=400)] | None = Field(
        None, description="Hub id (org/name, org/name@revision), or an allowed absolute path"
    )
    revision: Annotated[str, StringConstraints(min_length=1, max_length=200)] | None = Field(
        None, description="branch, tag or commit; null: what stands after @, or main"
    )
    analysis_id: AnalysisId | None = Field(
        None, description="an analysis of yours to plan from, in place of a model"
    )
    metadata: Metadata = Field({}, description="labels of your own")

    @model_validator(mode="after")
    def _one_subject(self) -> "PlanRequest":
        if (self.model is None) == (self.analysis_id is None):
            raise ValueError("give a model or an analysis_id, one of the two")
        if self.model is None and self.revision is not None:
            raise ValueError("revision goes with a model")
        if self.model is not None and self.revision is not None and "@" in self.model:
            raise ValueError("model names a revision after @ already; leave one of the two out")
        measuring = self.model_fields_set & MeasuringWords.model_fields.keys()
        if self.analysis_id is not None and measuring - {"estimator", "weighting"}:
            raise ValueError(
                f"{min(measuring)} is the analysis's own; leave it out, or name the model"
            )
        return self

    def words(self, analysis: dict[str, Any] | None = None) -> PlanWords:
        """The words of the plan; how to measure is taken from an analysis where one is named."""
        own = {name: getattr(self, name) for name in PlanWords.model_fields}
        for name in MeasuringWords.model_fields if analysis else ():
            if name not in self.model_fields_set:
                own[name] = (analysis or {})[name]
        return PlanWords.model_validate(own)


class PlanEnvelope(Envelope):
    """A plan job; `plan` is the untouched document, null until it is done."""

    plan: Plan | None
