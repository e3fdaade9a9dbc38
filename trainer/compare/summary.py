"""From runs to the document of the outcome. No torch."""

from collections.abc import Sequence
from typing import Literal

from trainer.compare.document import Arm, Comparison
from trainer.compare.intervals import FEWEST_SEEDS, LEVEL, Paired, holm, paired, spread
from trainer.compare.results import Compared, ComparedArm, ComparedRun, Difference, Finding, Measure
from trainer.compare.verdict import notes_on, verdict_on


def summarise(
    comparison: Comparison, runs: Sequence[ComparedRun], status: Literal["finished", "stopped"]
) -> Compared:
    """The outcome of the runs, of which there is one for each of the comparison's."""
    finished = [run for run in runs if run.status == "finished"]
    known = bool(finished) and all(run.accuracy is not None for run in finished)
    measure: Measure = "accuracy" if known else "loss"
    arms = tuple(_arm(arm, [run for run in runs if run.arm == arm.name]) for arm in comparison.arms)
    differences = _differences(comparison, arms, finished, measure)
    words = {
        "status": status,
        "comparison": comparison.digest,
        "measure": measure,
        "reference": comparison.reference,
        "seeds": comparison.seeds,
        "level": LEVEL,
        "arms": arms,
        "runs": tuple(runs),
        "differences": tuple(differences),
    }
    draft = Compared.model_validate({**words, "notes": (), "verdict": ""})
    return draft.model_copy(update={"notes": notes_on(draft), "verdict": verdict_on(draft)})


def _arm(arm: Arm, runs: Sequence[ComparedRun]) -> ComparedArm:
    finished = [run for run in runs if run.status == "finished"]
    losses = [run.loss for run in finished if run.loss is not None]
    shares = [run.accuracy for run in finished if run.accuracy is not None]
    plan = arm.recipe.plan
    return ComparedArm(
        name=arm.name,
        preset=arm.recipe.preset,
        kind=arm.recipe.mixture.kind,
        method=plan.method,
        permuted=arm.permuted,
        plan_digest=plan.digest,
        counts=plan.counts,
        trainable_parameters=finished[0].trainable_parameters if finished else None,
        finished=len(finished),
        failed=sum(run.status == "failed" for run in runs),
        loss=spread(losses) if losses else None,
        accuracy=spread(shares) if shares and len(shares) == len(finished) else None,
    )


def _differences(
    comparison: Comparison,
    arms: Sequence[ComparedArm],
    finished: Sequence[ComparedRun],
    measure: Measure,
) -> list[Difference]:
    figures: dict[str, dict[int, float]] = {arm.name: {} for arm in arms}
    for run in finished:
        figures[run.arm][run.seed] = getattr(run, measure)
    failed = {arm.name for arm in arms if arm.failed}
    ours = figures[comparison.reference]
    found: dict[str, Paired] = {}
    for name, theirs in figures.items():
        pairs = [
            (theirs[seed], ours[seed]) for seed in comparison.seeds if seed in {*ours} & {*theirs}
        ]
        if pairs and name != comparison.reference and not failed & {name, comparison.reference}:
            found[name] = paired(*zip(*pairs, strict=True))
    tested = {name: each.p for name, each in found.items() if each.p is not None}
    corrected = dict(zip(tested, holm(list(tested.values())), strict=True))
    return [
        Difference(
            arm=name, by_seed=each, corrected_p=corrected.get(name),
            finding=_finding(each, corrected.get(name), measure),
        )
        for name, each in found.items()
    ]  # fmt: skip


def _finding(each: Paired, corrected: float | None, measure: Measure) -> Finding | None:
    if each.runs < FEWEST_SEEDS or corrected is None:
        return None
    if corrected > 1 - LEVEL:
        return "no_difference"
    return "better" if (each.mean > 0) == (measure == "accuracy") else "worse"
