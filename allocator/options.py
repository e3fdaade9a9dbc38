"""What a plan is asked to be: the words of the command line and the API."""

from collections.abc import Sequence
from dataclasses import dataclass, field, fields
from typing import Any

from allocator.errors import InvalidRequest
from allocator.integers import Bounds, Rounding, check_rounding
from allocator.plan import BudgetKind
from analyzer.aspect import Aspect, check_aspect
from analyzer.report import Weighting, check_weighting
from analyzer.selection import name_list
from analyzer.tails import estimator_named

BUDGET_KINDS: tuple[BudgetKind, ...] = ("experts", "mean", "parameters")


@dataclass(frozen=True, slots=True)
class PlanOptions:
    """Everything that shapes a plan except the model; checked when made.

    `budget` may be left out for a method that brings its own (`mola`, `custom`). `parameters` are
    the method's, for example {"beta": 2.5} or {"shape": "2468"}. Raises InvalidRequest, or
    InvalidOption for an unknown estimator, aspect or weighting.
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
    modules: str | Sequence[str] | None = None
    per_module: bool = False
    stack: str | None = None

    def __post_init__(self) -> None:
        """Refuse what no plan can be."""
        estimator_named(self.estimator)
        check_aspect(self.aspect, self.estimator)
        check_weighting(self.weighting)
        check_rounding(self.rounding)
        if self.budget_kind not in BUDGET_KINDS:
            raise InvalidRequest(
                f"budget kind {self.budget_kind} is unknown; use one of {', '.join(BUDGET_KINDS)}"
            )
        if self.budget is not None and not _is_number(self.budget):
            raise InvalidRequest(f"the budget is {self.budget!r}; use a whole number of experts")
        for name in ("min_experts", "max_experts", "top_k", "rank"):
            value = getattr(self, name)
            if name == "max_experts" and value is None:
                continue
            if type(value) is not int or value < 1:
                raise InvalidRequest(
                    f"{name.replace('_', '-')} is {value!r}; use a whole number of at least 1"
                )
        if not (_is_number(self.lora_alpha) and 0 < self.lora_alpha < float("inf")):
            raise InvalidRequest(f"lora-alpha is {self.lora_alpha!r}; use a positive number")
        if not isinstance(self.stack, str | None):
            raise InvalidRequest(f"stack is {self.stack!r}; use a name, or names with commas")
        object.__setattr__(self, "modules", name_list(self.modules))
        _ = self.bounds

    @property
    def bounds(self) -> Bounds:
        """Least and most experts of a layer."""
        return Bounds(self.min_experts, self.max_experts)


def options_from(words: dict[str, Any]) -> PlanOptions:
    """Options from plain keywords: fields of PlanOptions, and the method's own parameters.

    So `beta=2.5` is `parameters={"beta": 2.5}`. Raises like PlanOptions.
    """
    known = {each.name for each in fields(PlanOptions)}
    own = {name: value for name, value in words.items() if name not in known}
    given = {name: value for name, value in words.items() if name in known}
    return PlanOptions(**{**given, "parameters": {**given.get("parameters", {}), **own}})


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)
