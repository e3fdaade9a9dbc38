"""What is known of how well the method works, and what is not; every figure has its source."""

from collections.abc import Iterator

from allocator.explaining.reading import Reading
from allocator.explanation import Sentence
from analyzer.text import shown

ALPHALORA = "arXiv 2410.10054"
MOLA = "arXiv 2402.08562"
LAYERIF = "arXiv 2505.23811"

_CLAIM = (
    f"AlphaLoRA's authors ({ALPHALORA}) claim results on a par with others or better, on ten "
    "benchmarks with three models."
)
_RERUN = (
    f"An independent comparison (LayerIF, {LAYERIF}: Mistral-7B, 160 experts, mean of five tasks) "
    "puts AlphaLoRA at 80.51, level with uniform (MoLA 5555) at 80.45, with MoLA 8642 at 80.97, "
    "MoLA 2468 at 74.77 and LayerIF's own plans at 81.76 to 82.27."
)
_SHAPES = (
    f"MoLA's best shape differs by model ({MOLA}, 160 experts, mean of six tasks): 2882 for "
    "Llama-2-7B (85.13) and Mistral-7B (89.24), 2468 for Gemma-7B (89.00), where uniform has "
    "84.31, 88.59 and 88.41."
)
_NOISE = (
    f"95 % intervals over three seeds are 0.4 to 2.5 points wide ({MOLA}), so most gaps between "
    "plans lie within the noise of training."
)


def evidence(reading: Reading) -> Iterator[Sentence]:
    """Claims, re-runs and noise for the plan's method."""
    for text in (*_found(reading), _NOISE):
        yield Sentence(text=text)


def _found(reading: Reading) -> Iterator[str]:
    method = reading.plan.method
    if method in ("alphalora", "alphalora_as_released"):
        yield from _on_alphalora(reading)
    elif method == "mola":
        yield _SHAPES
        yield _RERUN
    elif method == "uniform":
        yield "Uniform is the baseline that other methods have to beat."
        yield _RERUN
        yield _SHAPES
    elif method == "custom":
        yield "Nothing is known here of where the counts come from, so no result speaks for them."
    else:
        yield f"Nothing is known here of method {shown(method)}."


def _on_alphalora(reading: Reading) -> Iterator[str]:
    if reading.plan.values == "score":
        yield (
            "The rule is AlphaLoRA's, but by scores instead of alphas: results with alphas do not "
            "carry over."
        )
        yield _RERUN
        return
    yield _CLAIM
    yield _RERUN
    yield from _not_the_same(reading)
    yield "Alpha comes from the weights alone: it knows nothing of your task and data."


def _not_the_same(reading: Reading) -> Iterator[str]:
    """Where this plan is made in another way than by the code that was compared."""
    estimator, others = reading.parameter("estimator"), []
    if isinstance(estimator, str) and estimator != "peak_as_released":
        others.append(f"takes alpha by peak_as_released where this plan takes {shown(estimator)}")
    if reading.plan.method != "alphalora_as_released":
        others.append("has a rounding of its own (alphalora_as_released)")
    if others:
        yield f"AlphaLoRA's code {' and '.join(others)}, so its counts need not be these."
