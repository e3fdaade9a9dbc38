"""A PEFT LoraConfig for a live model, and a check that every name in one hits one module.

PEFT leaves out what matches nothing, and takes all that a name happens to match
(https://github.com/huggingface/peft/issues/3582).
"""

import re
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from allocator.errors import PlanMismatch
from allocator.forms.peft import config_of
from allocator.forms.table import Mixture, lora_alpha_of
from allocator.live import match_plan
from allocator.plan import Plan
from analyzer.text import shown


def lora_config(plan: Plan, model: Any) -> dict[str, Any]:
    """The keywords of a `peft.LoraConfig` for a live torch model, with its full module names.

    A module with E experts of rank r has rank E · r at the scale lora_alpha / r. Raises
    PlanMismatch where plan and model differ, or a name would hit more than its module.
    """
    match = match_plan(plan, model)
    mixtures = {
        name: Mixture(module.experts, module.top_k, module.rank)
        for name, module in match.modules.items()
    }
    config = config_of(mixtures, lora_alpha_of(plan))
    check_lora_config(config, model)
    return config


def check_lora_config(config: Mapping[str, Any], model: Any) -> None:
    """Raise PlanMismatch unless each target and each key of a pattern hits exactly one module.

    `config` holds the keywords of a LoraConfig; targets and keys are matched as PEFT does it.
    """
    targets = config.get("target_modules")
    if not isinstance(targets, list | tuple | set | frozenset) or not targets:
        raise PlanMismatch("target_modules must list names of modules; export the plan to peft")
    names = [name for name, _ in model.named_modules() if name]
    adapted: dict[str, None] = {}
    for target in targets:
        adapted[_one(str(target), "target_modules", names, _ends_with(str(target)))] = None
    for pattern in ("rank_pattern", "alpha_pattern"):
        for key in config.get(pattern) or {}:
            _one(key, pattern, adapted, _matches(key, pattern))


def _one(key: str, where: str, names: Iterable[str], hits: Callable[[str], bool]) -> str:
    found = [name for name in names if hits(name)]
    if len(found) == 1:
        return found[0]
    if not found:
        raise PlanMismatch(
            f"{shown(key)} in {where} matches no module that is adapted, and PEFT would leave it "
            "out in silence; use tailora.lora_config(plan, model)"
        )
    raise PlanMismatch(
        f"{shown(key)} in {where} matches {len(found)} modules, {shown(found[0])} and "
        f"{shown(found[1])} among them; escape its dots and give more of the name"
    )


def _ends_with(target: str) -> Callable[[str], bool]:
    return lambda name: name == target or name.endswith(f".{target}")


def _matches(key: str, where: str) -> Callable[[str], bool]:
    try:
        pattern = re.compile(rf"(.*\.)?({key})$")
    except re.error as error:
        raise PlanMismatch(
            f"{shown(key)} in {where} is no regular expression: {error}; escape it"
        ) from error
    return lambda name: pattern.match(name) is not None
