"""The document of a comparison of plans. `tailora.comparison/1`."""

from typing import Any, Literal

from pydantic import Field

from analyzer.outline import Document, Record

SameWeights = Literal["same", "other", "unknown"]


class ComparedPlan(Record):
    """One of the plans."""

    name: str
    digest: str
    model: str | None
    revision: str | None
    method: str
    per_module: bool
    experts: int = Field(description="budget: experts per layer, summed over layers")
    allocated: int = Field(description="sum of all its counts")
    trainable_parameters: int | None


class ComparedRow(Record):
    """One layer, or one module where any of the plans is per module; one entry for each plan."""

    stack: str
    layer: int
    module: str | None
    counts: tuple[int | None, ...] = Field(description="null where a plan does not adapt it")
    shares: tuple[float | None, ...]
    alphas: tuple[float | None, ...] = Field(description="or scores")


class Largest(Record):
    """The largest change of a single count."""

    stack: str
    layer: int
    module: str | None
    reference: int
    other: int


class SettingChange(Record):
    """A setting that differs; null where a plan does not have it."""

    name: str
    reference: Any
    other: Any


class PlanDifference(Record):
    """How a plan differs from the first one, and why as far as the two plans tell."""

    name: str
    l1: int = Field(description="sum over rows of |count − count|; no adapter counts as 0")
    moved: int | None = Field(
        description="experts that would have to move: l1 / 2; null unless the counts sum to the "
        "same"
    )
    sum_difference: int = Field(description="sum of its counts less that of the reference")
    rows: int = Field(description="rows that both plans count")
    same: int = Field(description="of these, rows with the same count")
    kendall_tau: float | None = Field(
        description="rank correlation (tau-b) over these rows; null where a plan is constant"
    )
    largest: Largest | None = Field(description="null where no count differs")
    weights: SameWeights = Field(description="by the sha256 of their files")
    settings: tuple[SettingChange, ...]
    reasons: tuple[str, ...]


class Comparison(Document):
    """Plans side by side; the first is the reference. `tailora.comparison/1`."""

    schema_id: Literal["tailora.comparison/1"] = Field("tailora.comparison/1", alias="schema")
    per_module: bool = Field(description="rows are modules; a per-layer plan has one count in all")
    plans: tuple[ComparedPlan, ...]
    rows: tuple[ComparedRow, ...]
    differences: tuple[PlanDifference, ...] = Field(description="one for each plan but the first")
    warnings: tuple[str, ...]
