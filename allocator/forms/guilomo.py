"""Gui-LoMo (https://arxiv.org/abs/2506.14646): two JSON files and the flags beside them.

`expert.json` maps the full name of every module to its experts, `rank.json` that name and
`.expertlora_E_vector_<i>` to the rank of expert i. The training script mola3_training.py looks
up top_k by the third part of a module's name, so that must be the layer.
"""

import json
from collections.abc import Mapping, Sequence
from typing import Any

from allocator.errors import NotExpressible, UnreadablePlan
from allocator.forms.draft import Draft, Reading, by_full_name
from allocator.forms.export import Export
from allocator.forms.mola import DROPOUT, FLAGS_FILE, fire_list, foreign, one_stack
from allocator.forms.nearest import Compromise, one_top_k, whole_alpha
from allocator.forms.shell import flags_of, pasted
from allocator.forms.table import Block, lora_alpha_of, table_of
from allocator.forms.targets import last_names
from allocator.forms.texts import Files, as_object, as_text, positive, whole, whole_numbers
from allocator.plan import Plan
from analyzer.text import shown

EXPERT_FILE, RANK_FILE = "expert.json", "rank.json"
MARK = ".expertlora_E_vector_"
_FLAGS = ("top_k", "lora_alpha", "number_experts")


def write(plan: Plan, compromise: Compromise) -> Export:
    """The two files and the flags. Raises NotExpressible."""
    blocks = table_of(plan)
    prefix = _prefix(plan, blocks)
    targets = last_names(plan, blocks, "guilomo")
    blocks = one_top_k(blocks, "guilomo", compromise)
    alpha = whole_alpha(lora_alpha_of(plan), "guilomo", compromise)
    mixtures = {
        f"{prefix}.{block.layer}.{module.name}": module.mixture
        for block in blocks
        for module in block.modules
    }
    ranks = {
        f"{name}{MARK}{expert}": mixture.rank
        for name, mixture in mixtures.items()
        for expert in range(mixture.experts)
    }
    flags: dict[str, str | int | float] = {
        "lora_r": RANK_FILE,
        "lora_alpha": alpha,
        "lora_dropout": DROPOUT,
        "lora_target_modules": fire_list(targets),
        "number_experts": EXPERT_FILE,
        "top_k": fire_list([block.mixtures[0].top_k for block in blocks]),
        "obalance": True,
    }
    experts = {name: mixture.experts for name, mixture in mixtures.items()}
    return Export(
        target="guilomo",
        files={
            EXPERT_FILE: json.dumps(experts, indent=4) + "\n",
            RANK_FILE: json.dumps(ranks, indent=4) + "\n",
            FLAGS_FILE: pasted(flags),
        },
        warnings=(*compromise.warnings, *foreign(plan, "Gui-LoMo")),
    )


def read(files: Files, reading: Reading) -> Draft:
    """expert.json and rank.json, told apart by their keys, and the flags where they are there.

    Raises UnreadablePlan; NotExpressible where the experts of a module have several ranks.
    """
    experts, ranks, flags = _sorted(files)
    counts = {
        name: whole(value, f"the number of experts of {shown(name)}")
        for name, value in experts.items()
    }
    own_ranks = _ranks(counts, ranks, reading.compromise)
    mixtures = reading.mixtures(list(counts.values()), _top_ks(counts, flags), own_ranks)
    blocks, stacks = by_full_name(dict(zip(counts, mixtures, strict=True)))
    alpha = flags.get("lora_alpha")
    said = None if alpha is None else positive(alpha, "--lora_alpha")
    return Draft(tuple(blocks), reading.alpha(said), stacks)


def _prefix(plan: Plan, blocks: Sequence[Block]) -> str:
    one_stack(plan, blocks, "guilomo")
    prefixes = {stack.name: stack.prefix for stack in plan.stacks}
    prefix = prefixes.get(blocks[0].stack)
    if prefix is None or not all(block.modules for block in blocks):
        raise NotExpressible(
            "guilomo needs the full names of modules, and this plan has none; "
            "import it with --model, or plan from a model"
        )
    if prefix.count(".") != 1:
        raise NotExpressible(
            f"guilomo reads the layer from the third part of a module's name, but this model's "
            f"begin with {shown(prefix)}.<layer>; export to peft"
        )
    return prefix


def _sorted(files: Files) -> tuple[dict[str, Any], dict[str, Any], dict[str, str]]:
    experts: list[dict[str, Any]] = []
    ranks: list[dict[str, Any]] = []
    flags: dict[str, str] = {}
    for raw in files.values():
        if not raw.lstrip().startswith(b"{"):
            flags = flags_of(as_text(raw), _FLAGS, "number_experts")
            continue
        found = as_object(raw)
        (ranks if any(MARK in key for key in found) else experts).append(found)
    if len(experts) != 1 or len(ranks) != 1:
        raise UnreadablePlan(
            f"guilomo is two files, {EXPERT_FILE} and {RANK_FILE} (and {FLAGS_FILE}, if there); "
            "give both, or their folder"
        )
    if not experts[0]:
        raise UnreadablePlan(f"{EXPERT_FILE} names no module")
    return experts[0], ranks[0], flags


def _ranks(
    counts: Mapping[str, int], ranks: Mapping[str, Any], compromise: Compromise
) -> list[int]:
    """The rank of each module: that of its experts, or their mean."""
    own: dict[str, dict[int, int]] = {name: {} for name in counts}
    for key, value in ranks.items():
        name, mark, index = key.rpartition(MARK)
        if not mark or name not in own or not (index.isascii() and index.isdecimal()):
            raise UnreadablePlan(f"{shown(key)} in {RANK_FILE} is no expert of {EXPERT_FILE}")
        own[name][int(index[:6])] = whole(value, f"the rank {shown(key)}")
    return [_rank(name, count, own[name], compromise) for name, count in counts.items()]


def _rank(name: str, count: int, own: Mapping[int, int], compromise: Compromise) -> int:
    # Gui-LoMo's own files rank all experts that it began with; the first `count` are used.
    used = [own[expert] for expert in range(min(count, len(own) + 1)) if expert in own]
    if len(used) != count:
        raise UnreadablePlan(
            f"{RANK_FILE} has {len(used)} ranks for the {count} experts of {shown(name)}"
        )
    if len(set(used)) > 1:
        mean = max(int(sum(used) / count + 0.5), 1)
        compromise.take(
            f"the experts of {shown(name)} have ranks {', '.join(map(str, used[:8]))}, and a plan "
            "has one rank a module",
            f"their mean, {mean}",
        )
        return mean
    return used[0]


def _top_ks(counts: Mapping[str, int], flags: Mapping[str, str]) -> list[int] | None:
    """top_k of each module, looked up as the script does; None where the flags give none."""
    if "top_k" not in flags:
        return None
    values = whole_numbers(flags["top_k"], "--top_k")
    found = []
    for name in counts:
        parts = name.split(".")
        layer = parts[2] if len(parts) > 2 else ""
        if not (layer.isascii() and layer.isdecimal()) or int(layer[:6]) >= len(values):
            raise UnreadablePlan(f"--top_k has no value for {shown(name)}; give one a layer")
        found.append(values[int(layer[:6])])
    return found
