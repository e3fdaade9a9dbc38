"""The document of a comparison's outcome. No torch."""

from typing import Literal

from pydantic import Field

from analyzer.outline import Document, Record
from trainer.compare.intervals import Paired, Spread
from trainer.recipe import Kind, PresetName

Measure = Literal["accuracy", "loss"]
Finding = Literal["better", "worse", "no_difference"]


class ComparedRun(Record):
    """One run: an arm with a seed."""

    arm: str
    seed: int
    status: Literal["finished", "failed", "missing"] = Field(
        description="missing: not made, or not to its end, when the comparison was stopped"
    )
    reason: str | None = Field(None, description="why it failed")
    plan_digest: str
    recipe_digest: str
    steps: int | None = None
    loss_before: float | None = Field(None, description="on held-out samples, before training")
    loss: float | None = Field(None, description="on held-out samples, after training")
    accuracy: float | None = Field(None, description="where there is one")
    trainable_parameters: int | None = Field(None, description="as counted in the model")


class ComparedArm(Record):
    """One arm over all its seeds."""

    name: str
    preset: PresetName
    kind: Kind
    method: str = Field(description="of the plan")
    permuted: bool
    plan_digest: str = Field(description="where permuted: of the plan before that")
    counts: tuple[int, ...] = Field(description="the plan's; where permuted, before that")
    trainable_parameters: int | None = Field(description="null where no run has finished")
    finished: int = Field(description="runs")
    failed: int = Field(description="runs")
    loss: Spread | None = Field(description="on held-out samples; null where no run has finished")
    accuracy: Spread | None


class Difference(Record):
    """An arm less the reference, over the seeds that both have finished."""

    arm: str
    by_seed: Paired
    corrected_p: float | None = Field(description="by Holm, over all arms that are tested")
    finding: Finding | None = Field(
        description="by the corrected p-value; null where seeds are too few or nothing scatters"
    )


class Compared(Document):
    """What came of a comparison of trainings. `tailora.compared_trainings/1`."""

    schema_id: Literal["tailora.compared_trainings/1"] = Field(
        "tailora.compared_trainings/1", alias="schema"
    )
    status: Literal["finished", "stopped"]
    comparison: str = Field(description="digest of what was compared")
    measure: Measure = Field(description="that differences are of")
    reference: str
    seeds: tuple[int, ...]
    level: float = Field(description="of all intervals, which are over seeds alone")
    arms: tuple[ComparedArm, ...]
    runs: tuple[ComparedRun, ...]
    differences: tuple[Difference, ...] = Field(
        description="of every other arm without a failed run"
    )
    notes: tuple[str, ...]
    verdict: str

    @property
    def failed(self) -> tuple[ComparedRun, ...]:
        """The runs that failed."""
        return tuple(run for run in self.runs if run.status == "failed")
