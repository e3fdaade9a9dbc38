"""PEFT's LoraConfig (https://github.com/huggingface/peft): ranks of modules, without experts.

A module with E experts of rank r gets rank E · r and lora_alpha · E, so that the scale stays
lora_alpha / r. PEFT matches keys of its patterns as regular expressions against the end of full
module names, and targets as plain text; both stop at a dot.
"""

import json
import re
from collections.abc import Iterable, Mapping
from typing import Any

from allocator.errors import NotExpressible
from allocator.forms.export import Export
from allocator.forms.nearest import Compromise
from allocator.forms.table import Mixture, lora_alpha_of, table_of
from allocator.forms.targets import unplanned
from allocator.plan import Plan
from analyzer.naming import split_block_name
from analyzer.text import shown

CONFIG_FILE = "adapter_config.json"


def write(plan: Plan, compromise: Compromise) -> Export:
    """An adapter_config.json. Raises NotExpressible."""
    prefixes = _short_prefixes(plan)
    mixtures = {}
    for layer, block in zip(plan.layers, table_of(plan), strict=True):
        if not block.modules or block.stack not in prefixes:
            raise NotExpressible(
                "peft needs the full names of modules, and this plan has none; "
                "import it with --model, or plan from a model"
            )
        for module, adapted in zip(layer.modules, block.modules, strict=True):
            name = f"{prefixes[block.stack]}.{block.layer}.{module.live or module.name}"
            mixtures[name] = adapted.mixture
    config = config_of(mixtures, lora_alpha_of(plan))
    return Export(
        target="peft",
        files={CONFIG_FILE: json.dumps(config, indent=2) + "\n"},
        warnings=(*compromise.warnings, *_warnings(plan, mixtures.values())),
    )


def config_of(mixtures: Mapping[str, Mixture], lora_alpha: float) -> dict[str, Any]:
    """The keywords of a LoraConfig from mixtures by (the end of) full module names."""
    ranks = sorted(mixture.rank for mixture in mixtures.values())
    alpha = _plain(lora_alpha)
    return {
        "peft_type": "LORA",
        "r": ranks[0],
        "lora_alpha": alpha,
        "target_modules": list(mixtures),
        "rank_pattern": {
            re.escape(name): mixture.experts * mixture.rank for name, mixture in mixtures.items()
        },
        "alpha_pattern": {
            re.escape(name): alpha * mixture.experts for name, mixture in mixtures.items()
        },
    }


def _plain(value: float) -> int | float:
    """A whole float as int, as PEFT's own files have it."""
    return int(value) if value == int(value) else value


def _short_prefixes(plan: Plan) -> dict[str, str]:
    """For each stack the shortest end of its prefix that no other name of the model shares.

    Without a model the other names are not known, and the prefix stays whole.
    """
    if plan.model is None:
        return {stack.name: stack.prefix for stack in plan.stacks}
    outside = {
        block.prefix for name in unplanned(plan) if (block := split_block_name(name)) is not None
    }
    prefixes = {stack.name: stack.prefix for stack in plan.stacks}
    found = {}
    for name in {layer.stack for layer in plan.layers} & set(prefixes):
        own = prefixes[name]
        others = (outside | set(prefixes.values())) - {own}
        found[name] = _short(own, others)
    return found


def _short(own: str, others: Iterable[str]) -> str:
    parts = own.split(".")
    for start in range(len(parts) - 1, -1, -1):
        end = ".".join(parts[start:])
        if not any(other == end or other.endswith(f".{end}") for other in others):
            return end
    raise NotExpressible(
        f"peft matches the end of a name, and {shown(own)} is the end of another name in the "
        "model; use tailora.lora_config(plan, model) with the live model"
    )


def _warnings(plan: Plan, mixtures: Iterable[Mixture]) -> list[str]:
    found = []
    if any(mixture.experts > 1 for mixture in mixtures):
        found.append("LoRA has no experts: E experts of rank r are written as rank E · r")
    if len(plan.stacks) > 1 and not any(
        module.live for layer in plan.layers for module in layer.modules
    ):
        found.append(
            "names of live models with several stacks can differ from those in files; "
            "tailora.lora_config(plan, model) takes the live ones and checks them"
        )
    return found
