"""TaiLoRA: from a model's weights to a plan for its LoRA experts.

    import tailora

    analysis = tailora.analyze("path/to/model")
    plan = tailora.plan(analysis, budget=160)
    print(plan.counts)

Every name is imported on first use; none but `analyze` (where a matrix has to be solved) and
the mixtures needs torch.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from allocator.compare import compare_plans
    from allocator.curve import budget_curve
    from allocator.errors import AllocatorError
    from allocator.evidence import evidence
    from allocator.explain import explain_plan
    from allocator.exports import export_plan
    from allocator.forms.live import check_lora_config, lora_config
    from allocator.imports import import_plan
    from allocator.live import match_plan
    from allocator.plan import Plan
    from allocator.planner import plan
    from allocator.read import read_plan
    from analyzer.api import analyze, outline
    from analyzer.errors import AnalyzerError
    from analyzer.outline import Outline
    from analyzer.report import Analysis
    from analyzer.sampling import Windows
    from analyzer.series import Series, series_of
    from analyzer.spectrum import Spectrum
    from analyzer.tails import Fit, fit
    from trainer.tuner import MixtureConfig
    from trainer.tuner.facts import load_adapter

_HOMES = {
    "AllocatorError": "allocator.errors",
    "Analysis": "analyzer.report",
    "AnalyzerError": "analyzer.errors",
    "Fit": "analyzer.tails",
    "MixtureConfig": "trainer.tuner",
    "Outline": "analyzer.outline",
    "Plan": "allocator.plan",
    "Series": "analyzer.series",
    "Spectrum": "analyzer.spectrum",
    "Windows": "analyzer.sampling",
    "analyze": "analyzer.api",
    "budget_curve": "allocator.curve",
    "compare_plans": "allocator.compare",
    "evidence": "allocator.evidence",
    "explain_plan": "allocator.explain",
    "check_lora_config": "allocator.forms.live",
    "export_plan": "allocator.exports",
    "fit": "analyzer.tails",
    "import_plan": "allocator.imports",
    "load_adapter": "trainer.tuner.facts",
    "lora_config": "allocator.forms.live",
    "match_plan": "allocator.live",
    "outline": "analyzer.api",
    "plan": "allocator.planner",
    "read_plan": "allocator.read",
    "series_of": "analyzer.series",
}

__all__ = [
    "AllocatorError",
    "Analysis",
    "AnalyzerError",
    "Fit",
    "MixtureConfig",
    "Outline",
    "Plan",
    "Series",
    "Spectrum",
    "Windows",
    "analyze",
    "budget_curve",
    "check_lora_config",
    "compare_plans",
    "evidence",
    "explain_plan",
    "export_plan",
    "fit",
    "import_plan",
    "load_adapter",
    "lora_config",
    "match_plan",
    "outline",
    "plan",
    "read_plan",
    "series_of",
]


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module tailora has no attribute {name}")
    return getattr(import_module(_HOMES[name]), name)


def __dir__() -> list[str]:
    return __all__
