"""What a plan is asked to be: the words of the command line and the API."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from allocator.errors import InvalidRequest
from allocator.integers import Bounds, Rounding
from allocator.plan import BudgetKind
from analyzer.aspect import Aspect
from analyzer.report import Weighting

BUDGET_KINDS: tuple[BudgetKind, ...] = ("experts", "mean", "parameters")


@dataclass(frozen=True, slots=True)
class PlanOptions:
    """Everything that shapes a plan except the model; checked when made. Raises InvalidRequest.

    `budget` may be left out for a method that brings its own (`mola`, `custom`). `parameters` are
    the method's, for example {"beta": 2.5} or {"shape": "2468"}.
    """

    budget: float | None = None
    budget_kind: BudgetKind = "experts"
    method: str = "alphalora"
    parameters: dict[str, Any] = field(default_factory=dict)
    estimator: str = "hill"
    aspect: Aspect = "none"
    weighting: Weighting = "equal"
    rounding: Rounding = "largest_remainder"
    min_experts: int = 1
    max_experts: int | None = None
    top_k: int = 2
    rank: int = 8
    lora_alpha: float = 16.0
    modules: Sequence[str] | None = None
    per_module: bool = False
    stack: str | None = None

    def __post_init__(self) -> None:
        """Refuse what no plan can be."""
        if self.budget_kind not in BUDGET_KINDS:
            raise InvalidRequest(
                f"budget kind {self.budget_kind} is unknown; use one of {', '.join(BUDGET_KINDS)}"
            )
        for name, value in (("top-k", self.top_k), ("rank", self.rank)):
            if value < 1:
                raise InvalidRequest(f"{name} is {value}; use a whole number of at least 1")
        if not 0 < self.lora_alpha < float("inf"):
            raise InvalidRequest(f"lora-alpha is {self.lora_alpha}; use a positive number")
        _ = self.bounds

    @property
    def bounds(self) -> Bounds:
        """Least and most experts of a layer."""
        return Bounds(self.min_experts, self.max_experts)
