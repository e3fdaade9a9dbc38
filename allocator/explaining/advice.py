"""What to try next, with commands."""

from collections.abc import Iterator

from allocator.explaining.commands import plan_command
from allocator.explaining.reading import Reading
from allocator.explaining.untrained import Shapes
from allocator.explanation import Sentence
from allocator.wording import counted


def advice(reading: Reading) -> Iterator[Sentence]:
    """A baseline, a fair comparison, and other ways of measuring."""
    yield from _against(reading)
    yield Sentence(
        text="Train both plans with the same recipe, equal trainable parameters and at least three "
        "seeds each, and compare means with their intervals; one run each tells little."
    )
    if reading.by_alpha:
        yield from _measured_otherwise(reading)


def _against(reading: Reading) -> Iterator[Sentence]:
    """A plan to compare with: uniform, or another method where this one is uniform."""
    if not reading.even and reading.plan.method != "uniform":
        what, method = "A uniform plan with {} is the baseline to beat", "uniform"
    elif reading.valued:
        what, method = "This plan is uniform; one by the depth alone, with {}", "mola"
    else:
        by = "score" if reading.plan.values == "score" else "alpha"
        what, method = f"This plan is uniform; one by {by}, with {{}}", "alphalora"
    file = f"{method}.json"
    command = plan_command(reading, "--out", file, method=method)
    yield Sentence(text=f"{what.format(_budget(reading))}{_placeholder(command)}:", command=command)
    yield Sentence(
        text="Both side by side (PLAN stands for this plan's file):",
        command=f"tailora compare PLAN {file}",
    )


def _budget(reading: Reading) -> str:
    plan = reading.plan
    kept = plan.budget.experts * len(reading.slots) == plan.budget.allocated * len(plan.layers)
    same = "the same" if kept else "about the same"
    return f"{same} budget of {counted(plan.budget.experts, 'expert')}"


def _placeholder(command: str) -> str:
    words = command.split()
    if "MODEL" in words:
        return " (MODEL stands for your model)"
    return " (FILE stands for your scores)" if "FILE" in words else ""


def _measured_otherwise(reading: Reading) -> Iterator[Sentence]:
    other = "ks" if reading.parameter("estimator") == "hill" else "hill"
    aspect = reading.parameter("aspect")
    yield Sentence(
        text=f"The same plan by another estimator, {other}:",
        command=plan_command(
            reading,
            estimator=other,
            aspect="none" if aspect == "marchenko_pastur" else aspect,
        ),
    )
    shapes = Shapes(reading)
    if shapes.by_hill and shapes.mixed and (reading.plan.per_module or not shapes.alike):
        yield Sentence(
            text="Since shapes differ, the same plan with alphas corrected for shape:",
            command=plan_command(reading, aspect="marchenko_pastur"),
        )
    if any(other.status == "needs_float64" for other in reading.plan.stability):
        yield Sentence(
            text="The counts by the estimators that need float64:",
            command=plan_command(reading, "--precision", "float64"),
        )
