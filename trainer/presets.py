"""Presets: the values of the papers (and of their code, where those differ) as parts of a recipe.

    mola, alphalora   MoLA (arXiv 2402.08562), AlphaLoRA (arXiv 2410.10054): top-k, AdamW 3e-4 with
                      100 warm-up steps, then linear; 128 samples a step, dropout 0.05; the balance
                      loss on unpadded tokens a module instead of pooled (`balance: mola` is theirs)
    adamole           AdaMoLE (arXiv 2405.00361): thresholds, AdamW 1e-4, constant after 200 steps,
                      16 samples a step, its own balance loss
    lora_dropout      LoRA Dropout (arXiv 2404.09610) over a top-k mixture: rate 0.1 and two draws a
                      step; the paper's own could not be had, so sweep 0.05 to 0.5
    lora              the baseline: one LoRA a module with as many parameters as the mixture
    prompt            Decomposed Prompt Tuning (arXiv 2310.10094): 100 virtual tokens of rank 10,
                      0.3, weight decay 1e-5, linear after a tenth of the steps, 16 samples a step

No torch.
"""

from collections.abc import Mapping
from typing import Any

from pydantic import BaseModel, ValidationError

from allocator.plan import Plan
from trainer.dataset.sums import sums_of
from trainer.errors import InvalidRecipe
from trainer.recipe import PresetName, Recipe, Task, misplaced

_PAPER: dict[str, dict[str, Any]] = {
    "optimiser": {"learning_rate": 3e-4},
    "schedule": {"shape": "linear", "warmup_steps": 100, "batch": 128, "micro_batch": 8},
}
PRESETS: dict[str, dict[str, dict[str, Any]]] = {
    "mola": {**_PAPER, "mixture": {"mask": "dropout", "mask_rate": 0.05}},
    "alphalora": {**_PAPER, "mixture": {"mask": "dropout", "mask_rate": 0.05}},
    "adamole": {
        "optimiser": {"learning_rate": 1e-4},
        "schedule": {"shape": "constant", "warmup_steps": 200, "batch": 16, "micro_batch": 4},
        "mixture": {
            "gate": "threshold", "balance": "adamole", "mask": "dropout", "mask_rate": 0.05,
        },
    },
    "lora_dropout": {
        **_PAPER, "mixture": {"mask": "lora_dropout", "mask_rate": 0.1, "mask_draws": 2},
    },
    "lora": {**_PAPER, "mixture": {"kind": "lora", "mask": "dropout", "mask_rate": 0.05}},
    "prompt": {
        "optimiser": {"learning_rate": 0.3, "weight_decay": 1e-5},
        "schedule": {"shape": "linear", "warmup_share": 0.1, "batch": 16, "micro_batch": 8},
        "mixture": {"kind": "prompt"},
        "prompt": {"tokens": 100, "rank": 10},
    },
}  # fmt: skip

SECTIONS = {
    name for name, field in Recipe.model_fields.items()
    if isinstance(field.annotation, type) and issubclass(field.annotation, BaseModel)
}  # fmt: skip
GIVEN = {
    "preset", "task", "schema", "schema_id", "base.path", "base.revision", "base.weights",
    "data.train", "data.held_out", "data.sums",
}  # fmt: skip
"""Fields that arguments decide, and no change: a service takes changes from strangers."""

UNREAD = "0" * 64
"""In place of a sha256, where a recipe is looked at before its data is read."""


def preset_of(plan: Plan) -> PresetName:
    """The preset that goes with a plan's method; alphalora where the method has none."""
    return "mola" if plan.method in ("mola", "uniform") else "alphalora"


def make_recipe(
    plan: Plan,
    *,
    task: Task,
    base: Mapping[str, Any],
    data: Mapping[str, Any],
    preset: str | None = None,
    changes: Mapping[str, Any] | None = None,
) -> Recipe:
    """A recipe of a preset (that of the plan's method) with `changes` in its sections.

    `changes` maps `section.field` (or a field of the recipe itself) to a value; what the other
    arguments say is none of them. `data` may have the `sums` of its files. Raises InvalidRecipe,
    naming the field, for one that is unknown or a value that cannot be, and InvalidData where the
    data cannot be read.
    """
    name: str = preset or preset_of(plan)
    if name not in PRESETS:
        raise InvalidRecipe(f"preset is {name!r}; give one of {', '.join(PRESETS)}")
    words: dict[str, Any] = {section: dict(values) for section, values in PRESETS[name].items()}
    files = {**data}
    if "sums" not in files:
        files["sums"] = sums_of(data["train"], data.get("held_out"))
    words |= {"preset": name, "task": task, "plan": plan, "base": dict(base), "data": files}
    changes = changes or {}
    _give_way(words["schedule"], changes)
    _change(words, changes)
    recipe = _validated(words)
    _check_applied(recipe, changes)
    return recipe


def _validated(words: Mapping[str, Any]) -> Recipe:
    try:
        return Recipe.model_validate(words)
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"]) or "the recipe"
        raise InvalidRecipe(f"{where}: {first['msg']}; see docs/training.md") from error


def _change(words: dict[str, Any], changes: Mapping[str, Any]) -> None:
    for key, value in changes.items():
        section, dot, field = key.rpartition(".")
        known = section in SECTIONS if dot else key in Recipe.model_fields
        if key in GIVEN or key in SECTIONS or section == "plan" or not known:
            raise InvalidRecipe(f"{key} is no field to set; see docs/training.md")
        place = words.setdefault(section, {}) if dot else words
        place[field] = value


def _give_way(schedule: dict[str, Any], changes: Mapping[str, Any]) -> None:
    """A warm-up that is given takes the place of the preset's, whichever way that is told."""
    for given, other in (("warmup_steps", "warmup_share"), ("warmup_share", "warmup_steps")):
        if f"schedule.{given}" in changes:
            schedule.pop(other, None)


def _check_applied(recipe: Recipe, changes: Mapping[str, Any]) -> None:
    """Refuse what is given and would be passed over, also where its value is the default."""
    kind = recipe.mixture.kind
    for key in changes:
        section, _, option = key.rpartition(".")
        why = misplaced(option, kind) if section == "mixture" else None
        if why is not None:
            raise InvalidRecipe(f"mixture.{why}")
        if section == "prompt" and kind != "prompt":
            raise InvalidRecipe(f"{key} does not apply to kind {kind}; take the preset prompt")
