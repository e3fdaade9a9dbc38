"""The runs of a comparison, one after the other, in a folder that goes on where it was cut off."""

import gc
import math
import os
import shutil
from collections.abc import Callable
from pathlib import Path

import torch

from analyzer.text import shown
from trainer.compare.document import Arm, Comparison, folder_of
from trainer.compare.results import Compared, ComparedRun
from trainer.compare.summary import summarise
from trainer.compare.table import to_markdown
from trainer.errors import InvalidRecipe, NotMeasurable, TrainingStopped
from trainer.finetune.checkpoints import found_in
from trainer.finetune.files import replace_text
from trainer.finetune.run import ADAPTER, Trained, finetune
from trainer.finetune.signals import Heard
from trainer.recipe import Recipe

ASKED, RUNS, COMPARISON, TABLE = "asked.json", "runs", "comparison.json", "comparison.md"
Say = Callable[[str], None]


def _nothing(line: str) -> None:
    """Nobody listens."""


def compare(
    comparison: Comparison, out: Path, say: Say = _nothing, *, steps: bool = True
) -> Compared:
    """Make every run below `out/runs`, all arms of a seed before the next seed.

    The same comparison in `out` goes on: finished runs stay, one that was cut off goes on from its
    checkpoint, one that failed is tried again. SIGTERM and SIGINT end it after a checkpoint, with
    the status `stopped`. What came of it is written to `out/comparison.json` and `comparison.md`.

    `say` is told of `steps` too. A run that cannot go on is recorded. Raises InvalidRecipe where
    `out` holds something else, and what `finetune` raises for an arm that is refused.
    """
    _begin(comparison, out)
    runs: list[ComparedRun] = []
    with Heard() as heard:
        for arm, seed in comparison.runs:
            if not heard.asked:
                say(f"run {len(runs) + 1} of {len(comparison.runs)}: {arm.name}, seed {seed}")
                runs.append(_run(comparison, arm, seed, out, say, steps))
    made = {(run.arm, run.seed): run for run in runs}
    every = [
        made.get((arm.name, seed)) or _record(arm, seed, arm.recipe_of(seed), "missing")
        for arm, seed in comparison.runs
    ]
    stopped = any(run.status == "missing" for run in every)
    found = summarise(comparison, every, "stopped" if stopped else "finished")
    replace_text(out / TABLE, to_markdown(found))
    replace_text(out / COMPARISON, found.model_dump_json(indent=2) + "\n")
    return found


def _run(
    comparison: Comparison, arm: Arm, seed: int, out: Path, say: Say, steps: bool
) -> ComparedRun:
    recipe, folder = arm.recipe_of(seed), out / RUNS / folder_of(arm.name, seed)
    try:
        trained = finetune(recipe, folder, lambda line: say(f"  {line}"), steps=steps)
    except (TrainingStopped, NotMeasurable) as error:
        say(f"  failed: {error}")
        return _record(arm, seed, recipe, "failed", reason=str(error))
    finally:
        _free_memory()
    if trained.after is None:
        return _record(arm, seed, recipe, "missing", steps=trained.steps)
    for checkpoint in found_in(folder):
        shutil.rmtree(checkpoint)
    if not comparison.keep_adapters:
        shutil.rmtree(folder / ADAPTER, ignore_errors=True)
    return _finished(arm, seed, recipe, trained)


def _finished(arm: Arm, seed: int, recipe: Recipe, trained: Trained) -> ComparedRun:
    assert trained.after is not None
    if not math.isfinite(trained.after.loss):
        reason = "the loss on held-out samples is not finite; take a smaller learning rate"
        return _record(arm, seed, recipe, "failed", reason=reason)
    return _record(
        arm, seed, recipe, "finished", steps=trained.steps, loss_before=trained.before.loss,
        loss=trained.after.loss, accuracy=trained.after.accuracy,
        trainable_parameters=trained.trainable_parameters,
    )  # fmt: skip


def _record(arm: Arm, seed: int, recipe: Recipe, status: str, **words: object) -> ComparedRun:
    return ComparedRun.model_validate(
        {
            "arm": arm.name,
            "seed": seed,
            "status": status,
            "plan_digest": recipe.plan.digest,
            "recipe_digest": recipe.digest,
            **words,
        }
    )


def _begin(comparison: Comparison, out: Path) -> None:
    """Make the folder, or see that it is of this comparison."""
    if int(os.environ.get("WORLD_SIZE", "1")) > 1:
        raise InvalidRecipe("a comparison runs in one process; start it without torchrun")
    if not out.exists() or all(path.name == f".{ASKED}" for path in out.iterdir()):
        out.mkdir(parents=True, exist_ok=True)
        replace_text(out / ASKED, comparison.to_json() + "\n")
        return
    try:
        before = Comparison.model_validate_json((out / ASKED).read_bytes())
    except (OSError, ValueError) as error:
        raise InvalidRecipe(f"{shown(out)} holds no comparison; choose another --out") from error
    if before.digest != comparison.digest:
        raise InvalidRecipe(
            f"{shown(out)} holds another comparison; choose another --out, or remove it"
        )


def _free_memory() -> None:
    """The last run's model is gone before the next one comes."""
    gc.collect()
    if torch.cuda.is_available():
        torch.cuda.empty_cache()
