"""The plan: how many LoRA experts each layer, or each module, gets. `tailora.plan/1`."""

import hashlib
import json
from typing import Any, Literal

from pydantic import Field

from analyzer.outline import Document, Record, Skipped, Stack

BudgetKind = Literal["experts", "mean", "parameters"]
Values = Literal["alpha", "score", "none"]
Weights = Literal["stored", "bfloat16"]
ScatterSource = Literal["nominal", "resampling"]
AlternativeStatus = Literal["ok", "needs_float64", "no_fit", "no_plan", "not_applicable"]


class PlanModule(Record):
    """One adapted linear layer."""

    name: str = Field(description="suffix inside the block, as in the file")
    live: str | None = Field(None, description="suffix in the live model, once matched with one")
    shape: tuple[int, int] | None = Field(
        description="out × in; null in a plan that was imported without its model"
    )
    alpha: float | None = Field(None, description="mean over its matrices, in a per-module plan")
    share: float | None = Field(None, description="exact share, in a per-module plan")
    experts: int = Field(ge=1)
    top_k: int = Field(ge=1)
    rank: int = Field(ge=1)
    lora_alpha: float

    @property
    def trainable_parameters(self) -> int | None:
        """Numbers to train: A, B and router; a module with one expert has no router.

        Per expert rank · (in + out) and one router column of `in` (MoLA's count). None where the
        shape is not known.
        """
        if self.shape is None:
            return None
        rows, columns = self.shape
        router = columns if self.experts > 1 else 0
        return self.experts * (self.rank * (rows + columns) + router)


class PlanLayer(Record):
    """One block."""

    stack: str
    layer: int
    alpha: float | None = Field(description="block value (or score); null where none was used")
    nominal_standard_error: float | None = Field(description="for independent draws")
    share: float | None = Field(description="exact share of the budget; null in a per-module plan")
    experts: int | None = Field(ge=1, description="of every module; null in a per-module plan")
    top_k: int | None = Field(ge=1)
    modules: tuple[PlanModule, ...]


class Budget(Record):
    """What was asked for and what it came to."""

    kind: BudgetKind
    requested: int | float | None = Field(description="null where the method brings its own")
    experts: int = Field(description="experts per layer, summed over layers")
    allocated: int = Field(description="sum of all counts: the same, or over modules if per module")


class Alternative(Record):
    """The counts that another estimator would give, or rounded weights."""

    estimator: str
    weights: Weights = Field("stored", description="bfloat16: rounded before they were measured")
    status: AlternativeStatus
    counts: tuple[int, ...] | None = None
    changed: int | None = Field(None, description="layers (or modules) whose count differs")


class Spread(Record):
    """How the count of one layer (or module) scatters when all alphas do."""

    standard_error: float = Field(description="of its alpha, as drawn")
    counts: dict[int, int] = Field(description="draws by number of experts")
    kept: float = Field(description="share of the draws that give the plan's own count")


class Scatter(Record):
    """The plan under draws of its alphas, each draw allocated anew."""

    source: ScatterSource
    note: str = Field(description="what the draws stand for")
    status: AlternativeStatus = "ok"
    draws: int
    seed: int
    kept: float | None = Field(None, description="share of the draws that give this very plan")
    spreads: tuple[Spread, ...] = Field((), description="one a count, in the plan's order")


class PlanProvenance(Record):
    """Where the numbers come from; outside the digest."""

    tailora: str
    created_at: str
    verified: bool | None = Field(description="weights were checked against their sha256")
    device: str | None = None
    threads: int | None = None
    precision: str | None = None
    solver: str | None = None
    torch: str | None = None
    seconds: float | None = None
    bytes_read: dict[str, int] | None = Field(
        None, description="by origin, for the analysis that the plan is made from"
    )


class Plan(Document):
    """How many LoRA experts each layer gets, by which method, from what. `tailora.plan/1`."""

    schema_id: Literal["tailora.plan/1"] = Field("tailora.plan/1", alias="schema")
    digest: str = Field(description="sha256 over weights, method, parameters and counts")
    model: str | None
    revision: str | None
    model_type: str | None
    weights: tuple[str, ...] = Field(description="sorted sha256 of the checkpoint's files")
    method: str
    parameters: dict[str, Any] = Field(description="every parameter, defaults included")
    budget: Budget
    values: Values = Field(description="what the layers' alpha column holds")
    stacks: tuple[Stack, ...]
    layers: tuple[PlanLayer, ...] = Field(min_length=1)
    trainable_parameters: int | None = Field(description="null where shapes are not known")
    skipped: tuple[Skipped, ...]
    warnings: tuple[str, ...]
    stability: tuple[Alternative, ...] = Field(
        description="the plan under other estimators, or rounded weights"
    )
    scatter: tuple[Scatter, ...] = Field((), description="the plan under draws of its alphas")
    provenance: PlanProvenance

    @property
    def counts(self) -> tuple[int, ...]:
        """Experts per layer, or per module in a per-module plan."""
        return tuple(
            count
            for layer in self.layers
            for count in (
                [module.experts for module in layer.modules]
                if layer.experts is None
                else [layer.experts]
            )
        )

    @property
    def modules(self) -> tuple[PlanModule, ...]:
        """All modules, in the order of their layers."""
        return tuple(module for layer in self.layers for module in layer.modules)

    @property
    def per_module(self) -> bool:
        """Whether modules have counts of their own."""
        return any(layer.experts is None for layer in self.layers)

    def to_json(self) -> str:
        """The plan as a JSON document."""
        return self.model_dump_json(indent=2)


def digest_of(
    weights: tuple[str, ...], method: str, parameters: dict[str, Any], counts: tuple[int, ...]
) -> str:
    """sha256 over a plan's weights, method, parameters and counts, as 64 hex digits."""
    content = {
        "weights": list(weights),
        "method": method,
        "parameters": parameters,
        "counts": list(counts),
    }
    canonical = json.dumps(content, sort_keys=True, separators=(",", ":"), allow_nan=False)
    return hashlib.sha256(canonical.encode()).hexdigest()
