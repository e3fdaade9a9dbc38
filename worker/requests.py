"""What is asked of the service, in the words of the command line."""

from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, StringConstraints, model_validator

from allocator.evidence import Questions
from allocator.options import PlanOptions
from allocator.plan import BudgetKind
from analyzer.aspect import Aspect
from analyzer.options import Options
from analyzer.outline import Scope
from analyzer.report import Weighting
from analyzer.sampling import Windows
from analyzer.spectrum import Solver

Name = Annotated[str, StringConstraints(max_length=200)]
Names = Annotated[Name | Annotated[list[Name], Field(max_length=200)] | None, Field()]
MODEL = "Hub id (org/name), or a path below a folder that the operator allowed"


class Request(BaseModel):
    """Base of request bodies: no unknown words, no words of the wrong type, no NaN."""

    model_config = ConfigDict(extra="forbid", strict=True, allow_inf_nan=False, frozen=True)


class ModelWords(Request):
    """Which model."""

    model: Annotated[str, StringConstraints(min_length=1, max_length=400)] = Field(
        description=MODEL, examples=["Qwen/Qwen3-8B"]
    )
    revision: Annotated[str, StringConstraints(min_length=1, max_length=200)] | None = Field(
        None, description="branch, tag or commit; null: main"
    )

    @model_validator(mode="after")
    def _one_revision(self) -> "ModelWords":
        if self.revision is not None and "@" in self.model:
            raise ValueError("model names a revision after @ already; leave one of the two out")
        return self


class MeasuringWords(Request):
    """How to measure; the words of `tailora analyze`."""

    estimator: Name = Field("hill", description="rule that alpha is fitted by")
    aspect: Aspect = Field("none", description="correction of alpha for a matrix's shape")
    sample_rows: int = Field(2000, description="aspect subsample: short side of a window")
    sample_ratio: float = Field(1.0, description="aspect subsample: long side over short side")
    sample_starts: int = Field(15, description="aspect subsample: windows along each side")
    weighting: Weighting = Field("equal", description="of a block's matrices in its mean")
    precision: Name = Field(
        "auto", description="float32 or float64 arithmetic; auto: what the estimator needs"
    )
    solver: Solver = Field("gram", description="gram is the faster, svd the more exact one")
    ranged: bool | None = Field(None, description="true: read only what is needed, unchecked")
    modules: Names = Field(None, description="only these, such as q_proj,v_proj; null: all")
    stack: Name | None = Field(
        None, description="text, vision, encoder …, or all; null: text, or encoder and decoder"
    )


class AnalysisWords(MeasuringWords):
    """What an analysis job keeps: everything that shapes its numbers."""

    scope: Scope = "blocks"
    experts_per_layer: int | None = None
    rounded: bool = Field(False, description="from weights rounded to bfloat16")
    stability: Names = None
    draws: int = 200
    seed: int = 0

    def options(self, *, device: str = "cpu", memory: int = 2_000_000_000) -> Options:
        """The options of the analysis. Raises InvalidOption."""
        return Options(
            estimator=self.estimator,
            aspect=self.aspect,
            weighting=self.weighting,
            precision=self.precision,
            solver=self.solver,
            device=device,
            scope=self.scope,
            stack=self.stack,
            modules=self.modules,
            memory=memory,
            ranged=self.ranged,
            experts_per_layer=self.experts_per_layer,
            windows=Windows(
                rows=self.sample_rows, ratio=self.sample_ratio, starts=self.sample_starts
            ),
            rounded=self.rounded,
        )

    def questions(self) -> Questions:
        """What the plan is questioned with. Raises InvalidRequest."""
        return Questions(self.stability or "estimators", self.draws, self.seed)


class PlanWords(MeasuringWords):
    """What a plan job keeps; the words of `tailora plan`."""

    expert_budget: float | None = Field(
        None,
        gt=0,
        le=1e9,
        description="how many; see budget_kind. Left out by methods that bring their own",
    )
    budget_kind: BudgetKind = Field(
        "experts",
        description="experts: of all layers together; mean: of a layer; parameters: as many "
        "experts as have so many trainable parameters at most",
    )
    method: Name = Field("alphalora", description="see GET /v1/methods")
    parameters: dict[Name, Any] = Field(
        {}, description="the method's own, such as beta; see GET /v1/methods", max_length=20
    )
    beta: float | None = Field(None, description="the same as parameters.beta")
    shape: Name | None = Field(None, description="the same as parameters.shape")
    counts: list[int] | None = Field(None, description="the same as parameters.counts")
    rounding: Literal["largest_remainder", "webster"] = Field(
        "largest_remainder", description="of shares to whole experts"
    )
    min_experts: int = Field(1, description="least of a layer")
    max_experts: int | None = Field(None, description="most of a layer; null: any number")
    per_module: bool = Field(False, description="each module has a count of its own, by its alpha")
    rank: int = Field(8, description="of an expert")
    lora_alpha: float = Field(16.0, description="an expert's product is scaled by this over rank")
    top_k: int = Field(2, description="experts that work on a token, where a module has as many")
    stability: Names = Field(None, description="estimators, nominal, resampling, bf16, or all")
    draws: int = Field(200, description="stability resampling: random halves of every matrix")
    seed: int = Field(0, description="of what stability draws")

    def plan_options(self) -> PlanOptions:
        """The options of the plan. Raises InvalidRequest or InvalidOption."""
        own = {"beta": self.beta, "shape": self.shape, "counts": self.counts}
        return PlanOptions(
            budget=_whole(self.expert_budget),
            budget_kind=self.budget_kind,
            method=self.method,
            parameters={
                **self.parameters,
                **{name: value for name, value in own.items() if value is not None},
            },
            estimator=self.estimator,
            aspect=self.aspect,
            weighting=self.weighting,
            rounding=self.rounding,
            min_experts=self.min_experts,
            max_experts=self.max_experts,
            top_k=self.top_k,
            rank=self.rank,
            lora_alpha=self.lora_alpha,
            modules=self.modules,
            per_module=self.per_module,
            stack=self.stack,
        )

    def analysis(self) -> AnalysisWords:
        """The analysis that the plan is made from."""
        words = {name: getattr(self, name) for name in MeasuringWords.model_fields}
        return AnalysisWords(
            **words,
            scope="adaptable",
            stability=self.stability,
            draws=self.draws,
            seed=self.seed,
        )


def _whole(budget: float | None) -> float | None:
    """A whole budget as int, so that documents say 160 and not 160.0."""
    return int(budget) if budget is not None and float(budget).is_integer() else budget


DatasetName = Annotated[
    str, StringConstraints(min_length=1, max_length=200, pattern=r"^[^/\\\x00]+$")
]
PlanId = Annotated[str, StringConstraints(pattern=r"^pln_[0-9a-f]+$", max_length=64)]


class RunWords(Request):
    """What trainings share: on which data, and with which changes of the recipe."""

    dataset: DatasetName = Field(description="id of an upload, or the name of a registered one")
    held_out: DatasetName | None = Field(
        None, description="the same to evaluate on; null: a part of dataset"
    )
    preset: Name | None = Field(None, description="null: that of the plan's method")
    settings: dict[Name, Any] = Field(
        {},
        description="fields of the recipe, as `schedule.epochs`; see docs/training.md",
        max_length=60,
    )


class TrainingWords(RunWords):
    """What a training job keeps; the words of `tailora train`."""

    plan_id: PlanId = Field(description="a plan of yours that has succeeded")


ArmName = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,79}$")]


class ComparisonWords(RunWords):
    """What a comparison job keeps; the words of `tailora compare-training`."""

    plans: Annotated[dict[ArmName, PlanId], Field(min_length=1, max_length=10)] = Field(
        description="plans of yours that have succeeded, by the names of their arms"
    )
    against: Annotated[list[Name], Field(max_length=10)] = Field(
        ["lora"],
        description="arms made from the first plan: uniform, permuted, mola:SHAPE, lora, adamole, "
        "lora_dropout",
    )
    seeds: Annotated[list[int], Field(min_length=1, max_length=50)] = Field([0, 1, 2])
    reference: ArmName | None = Field(
        None, description="the arm that others are compared with; null: lora, else the first"
    )
