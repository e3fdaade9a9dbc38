"""Requests to the service in the words of the command line."""

from typing import TYPE_CHECKING, Any

from service.cli.failures import CommandError

if TYPE_CHECKING:
    from allocator.evidence import Questions
    from allocator.options import PlanOptions
    from analyzer.options import Options

_OF_A_PLAN = (
    "budget_kind", "method", "parameters", "rounding", "min_experts", "max_experts", "top_k",
    "rank", "lora_alpha", "per_module",
)  # fmt: skip
_OF_MEASURING = ("estimator", "aspect", "weighting", "precision", "solver", "ranged", "stack")


def plan_body(
    model: str, options: "PlanOptions", measuring: "Options", questions: "Questions"
) -> dict[str, Any]:
    """The body of POST /v1/plans. Raises CommandError for questions that nothing can answer."""
    from allocator.methods import method_named

    asked = questions.kinds != ("estimators",)
    if asked and not method_named(options.method).needs_values:
        raise CommandError(no_alphas(options.method))
    own = {name: getattr(options, name) for name in _OF_A_PLAN}
    drawn = {"stability": list(questions.kinds), "draws": questions.draws, "seed": questions.seed}
    return _given(
        {"model": model, "expert_budget": options.budget, **own, **_measuring(measuring)}
        | (drawn if asked else {})
    )


def analysis_body(model: str, measuring: "Options") -> dict[str, Any]:
    """The body of POST /v1/analyses."""
    return _given(
        {
            "model": model,
            **_measuring(measuring),
            "all": measuring.scope == "all",
            "experts_per_layer": measuring.experts_per_layer,
        }
    )


def no_alphas(method: str) -> str:
    """What to say where a plan by shape is to be questioned."""
    return f"method {method} uses no alphas, so there is nothing to question; leave --stability out"


def _measuring(measuring: "Options") -> dict[str, Any]:
    modules = measuring.modules
    return {
        **{name: getattr(measuring, name) for name in _OF_MEASURING},
        "modules": modules if modules is None or isinstance(modules, str) else list(modules),
        "sample_rows": measuring.windows.rows,
        "sample_ratio": measuring.windows.ratio,
        "sample_starts": measuring.windows.starts,
    }


def _given(words: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in words.items() if value is not None}
