"""Documents that figures are made from, by hand where no model is needed."""

import numpy as np

from trainer.compare.intervals import LEVEL, holm, paired, spread
from trainer.compare.results import Compared, ComparedArm, ComparedRun, Difference

LOSSES = {"lora": (1.0, 1.2, 1.1), "uniform": (0.9, 1.15, 1.0), "plan": (0.7, 0.8, 0.75)}


def metrics_lines(steps: int) -> list[dict]:
    """As metrics.jsonl has them; the modules of layer 1 have 3 experts, those of layer 0 have 2."""
    draw = np.random.default_rng(0)
    lines = []
    for step in range(1, steps + 1):
        mixtures = {}
        for layer in (0, 1):
            for module in ("q_proj", "v_proj"):
                share = draw.dirichlet([4.0] * (2 + layer))
                entropy = float(-(share * np.log(share)).sum())
                mixtures[f"model.layers.{layer}.{module}"] = {
                    "load_share": share.tolist(), "entropy": entropy,
                }  # fmt: skip
        lines.append({
            "step": step, "steps": steps, "loss": float(3 / step + draw.uniform(0, 0.1)),
            "learning_rate": 1e-3 * (1 - step / steps), "tokens_per_second": 1000.0 + step,
            "mixtures": mixtures,
        })  # fmt: skip
    return lines


def compared() -> Compared:
    """Three arms over three seeds; the reference is `lora`."""
    runs = tuple(
        ComparedRun(
            arm=arm, seed=seed, status="finished", plan_digest="p", recipe_digest="r", loss=loss
        )
        for arm, losses in LOSSES.items()
        for seed, loss in enumerate(losses)
    )
    arms = tuple(
        ComparedArm(
            name=arm, preset="alphalora", kind="mixture", method="alphalora", permuted=False,
            plan_digest="p", counts=(1, 2), trainable_parameters=10, finished=3, failed=0,
            loss=spread(losses), accuracy=None,
        )
        for arm, losses in LOSSES.items()
    )  # fmt: skip
    pairs = {arm: paired(LOSSES[arm], LOSSES["lora"]) for arm in ("uniform", "plan")}
    corrected = holm([pair.p or 1.0 for pair in pairs.values()])
    differences = tuple(
        Difference(arm=arm, by_seed=pair, corrected_p=p, finding="no_difference")
        for (arm, pair), p in zip(pairs.items(), corrected, strict=True)
    )
    return Compared(
        status="finished", comparison="c", measure="loss", reference="lora", seeds=(0, 1, 2),
        level=LEVEL, arms=arms, runs=runs, differences=differences, notes=("three seeds are few",),
        verdict="no arm differs",
    )  # fmt: skip
