"""Arms that one plan and a recipe are enough for, and those of other plans. No torch.

    uniform      the same modules and budget, every layer alike
    mola:SHAPE   the same modules and budget in a shape of MoLA's, such as mola:2468
    permuted     the plan's own counts, the layers in another order for each seed
    lora         a plain LoRA of as many parameters in each module
    adamole, lora_dropout   the same plan with that preset's gates, balance loss and masks

All arms have the optimiser and the schedule of the first plan's preset.
"""

import re
from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Any, NamedTuple

from pydantic import ValidationError

from allocator.plan import Plan
from allocator.variants import permuted, replan
from trainer.compare.document import Arm, Comparison
from trainer.errors import InvalidRecipe
from trainer.presets import make_recipe, preset_of
from trainer.recipe import Recipe, Task, misplaced

OWN_MIXTURE = ("lora", "adamole", "lora_dropout")
"""Presets that can be an arm."""


class Common(NamedTuple):
    """What all arms share: words of `make_recipe`."""

    task: Task
    base: Mapping[str, Any]
    data: Mapping[str, Any]
    preset: str
    changes: Mapping[str, Any]

    def recipe(self, plan: Plan, own: Mapping[str, Any] = MappingProxyType({})) -> Recipe:
        """The recipe for a plan, with changes of the arm's own. Raises InvalidRecipe."""
        return make_recipe(
            plan, task=self.task, base=self.base, data=self.data, preset=self.preset,
            changes={**self.changes, **own},
        )  # fmt: skip


def comparison_of(
    plans: Mapping[str, Plan],
    *,
    task: Task,
    base: Mapping[str, Any],
    data: Mapping[str, Any],
    against: Sequence[str] = (),
    seeds: Sequence[int] = (0, 1, 2),
    preset: str | None = None,
    changes: Mapping[str, Any] | None = None,
    own_changes: Mapping[str, Mapping[str, Any]] | None = None,
    reference: str | None = None,
    keep_adapters: bool = True,
) -> Comparison:
    """Plans by the name of their arm, and the arms `against` that the first one gives.

    `changes` are those of `make_recipe` in all arms, `own_changes` in the arm of that name. The
    reference is the arm named, else the first that is a plain LoRA, else the first. Raises
    InvalidRecipe, InvalidData, and what `allocator.variants` raises.
    """
    first = next(iter(plans.values()))
    common = Common(task, base, data, preset or preset_of(first), changes or {})
    own = {arm_name(name): words for name, words in (own_changes or {}).items()}
    if any("seed" in words for words in (common.changes, *own.values())):
        raise InvalidRecipe("seed is no field to set, since every run has its own; give --seeds")
    arms = []
    for name, plan in plans.items():
        _check_weights(name, plan, first)
        arms.append(_named(name, common.recipe(plan, own.pop(arm_name(name), {}))))
    arms += [_arm(word, first, common, own.pop(arm_name(word), {}), seeds) for word in against]
    names = [arm.name for arm in arms]
    if own:
        raise InvalidRecipe(
            f"there is no arm {next(iter(own))} to set a field of; there are {', '.join(names)}"
        )
    plain = (arm.name for arm in arms if arm.recipe.mixture.kind == "lora")
    return _comparison(
        arms=tuple(arms),
        reference=arm_name(reference) if reference else next(plain, names[0]),
        seeds=tuple(seeds),
        keep_adapters=keep_adapters,
    )


def arm_name(word: str) -> str:
    """The name of the arm that a word asks for: `mola-2468` for `mola:2468`."""
    return re.sub(r"[^A-Za-z0-9._-]", "-", word).lstrip("._-")[:80] or "plan"


def _comparison(**words: Any) -> Comparison:
    if len(words["arms"]) < 2:
        raise InvalidRecipe(
            "there is one arm, and nothing to compare it with; name another plan, or --against "
            "uniform,permuted,lora"
        )
    try:
        return Comparison(**words)
    except ValidationError as error:
        raise InvalidRecipe(error.errors()[0]["msg"].removeprefix("Value error, ")) from error


def _arm(
    word: str, plan: Plan, common: Common, own: Mapping[str, Any], seeds: Sequence[int]
) -> Arm:
    method, _, shape = word.partition(":")
    if word == "uniform":
        return _named(word, common.recipe(replan(plan, "uniform"), own))
    if method == "mola" and shape:
        return _named(word, common.recipe(replan(plan, "mola", shape=shape), own))
    if word == "permuted":
        for seed in seeds:
            permuted(plan, seed)  # raises now what would else be found out late
        return _named(word, common.recipe(plan, own), permuted=True)
    if word in OWN_MIXTURE:
        return _named(word, _other_mixture(word, plan, common, own))
    raise InvalidRecipe(
        f"{word!r} is no arm; give uniform, permuted, mola:SHAPE, {', '.join(OWN_MIXTURE)}, or a "
        "plan's file"
    )


def _named(name: str, recipe: Recipe, **words: Any) -> Arm:
    return Arm(name=arm_name(name), recipe=recipe, **words)


def _other_mixture(word: str, plan: Plan, common: Common, own: Mapping[str, Any]) -> Recipe:
    """The preset's mixture, and all else as in the arm of the plan."""
    like = common.recipe(plan)
    same = {
        f"{section}.{field}": value
        for section in ("optimiser", "schedule")
        for field, value in getattr(like, section).model_dump().items()
    }
    shared = _of_lora(common.changes) if word == "lora" else common.changes
    mine = Common(common.task, common.base, common.data, word, {**same, **shared})
    return mine.recipe(plan, own)


def _of_lora(changes: Mapping[str, Any]) -> dict[str, Any]:
    """Those changes of all arms that say something of a plain LoRA: no gates, no such masks."""
    other_masks = changes.get("mixture.mask") == "lora_dropout"

    def applies(key: str) -> bool:
        section, _, option = key.rpartition(".")
        if section != "mixture":
            return True
        return misplaced(option, "lora") is None and not (other_masks and "mask" in option)

    return {key: value for key, value in changes.items() if applies(key)}


def _check_weights(name: str, plan: Plan, first: Plan) -> None:
    if plan.weights and first.weights and plan.weights != first.weights:
        raise InvalidRecipe(
            f"{name} was made from other weights than the first plan; compare plans of one model"
        )
