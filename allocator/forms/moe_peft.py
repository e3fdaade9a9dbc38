"""MoE-PEFT (https://github.com/TUDB-Labs/MoE-PEFT): a job file with one adapter.

It has one number of experts, top_k and rank for the whole model, knows modules by fixed names
only, and checks that numbers are whole.
"""

import json
from typing import Any

from allocator.errors import NotExpressible, UnreadablePlan
from allocator.forms.draft import Draft, Reading, alike
from allocator.forms.export import Export
from allocator.forms.nearest import Compromise, uniform, whole_alpha
from allocator.forms.table import lora_alpha_of, table_of
from allocator.forms.targets import last_names
from allocator.forms.texts import Files, as_object, names, only, positive, whole
from allocator.plan import Plan
from analyzer.text import shown

JOB_FILE = "job.json"
KNOWN = (
    "q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "down_proj", "up_proj", "dense", "fc1",
    "fc2", "qkv_proj", "gate_up_proj", "dense_h_to_4h", "dense_4h_to_h",
)  # fmt: skip
"""The module names that MoE-PEFT knows; others it drops in silence."""


def write(plan: Plan, compromise: Compromise) -> Export:
    """A job file. Raises NotExpressible."""
    blocks = table_of(plan)
    targets = last_names(plan, blocks, "moe_peft")
    for name in targets:
        if name not in KNOWN:
            raise NotExpressible(
                f"moe_peft knows no module {shown(name)}, only {', '.join(KNOWN)}; "
                "plan with --modules for these, or export to peft"
            )
    mixture = uniform(blocks, "moe_peft", compromise)
    alpha = whole_alpha(lora_alpha_of(plan), "moe_peft", compromise)
    adapter = {
        "name": "mola",
        "task_name": "",
        "optim": "adamw",
        "scheduler_type": "constant",
        "warmup_ratio": 0.0,
        "lr": 2e-4,
        "batch_size": 16,
        "micro_batch_size": 8,
        "evaluate_batch_size": 16,
        "num_epochs": 2,
        "r": mixture.rank,
        "lora_alpha": alpha,
        "lora_dropout": 0.05,
        "target_modules": dict.fromkeys(targets, True),
        "routing_strategy": "mola",
        "num_experts": mixture.experts,
        "top_k": mixture.top_k,
        "group_by_length": False,
    }
    job = {
        "cutoff_len": 512,
        "save_step": 1000,
        "train_lora_candidate_num": 2,
        "train_lora_simultaneously_num": 2,
        "train_strategy": "optim",
        "lora": [adapter],
    }
    own = "task_name is yours to fill in: the task or the data that is trained on"
    return Export(
        target="moe_peft",
        files={JOB_FILE: json.dumps(job, indent=4) + "\n"},
        warnings=(*compromise.warnings, own),
    )


def read(files: Files, reading: Reading) -> Draft:
    """A job whose mola adapters agree. Raises UnreadablePlan."""
    adapters = as_object(only(files, "moe_peft")).get("lora")
    if not isinstance(adapters, list) or not adapters:
        raise UnreadablePlan("the job has no list of adapters under `lora`; is it another form?")
    found = [_adapter(adapter) for adapter in adapters]
    if any(other != found[0] for other in found):
        raise UnreadablePlan("the job's adapters differ; keep the one that you want")
    numbers, targets = found[0]
    places = reading.layers(None, "a MoE-PEFT job")
    mixtures = reading.mixtures(
        [int(numbers["num_experts"])] * len(places),
        [int(numbers["top_k"])] * len(places),
        [int(numbers["r"])] * len(places),
    )
    return Draft(tuple(alike(places, targets, mixtures)), reading.alpha(numbers["lora_alpha"]))


def _adapter(adapter: Any) -> tuple[dict[str, float], list[str]]:
    if not isinstance(adapter, dict):
        raise UnreadablePlan("an entry under `lora` is no object; is it another form?")
    strategy = adapter.get("routing_strategy")
    if strategy != "mola":
        raise UnreadablePlan(
            f"an adapter's routing_strategy is {shown(strategy)}; only mola gives every module "
            "its own experts"
        )
    if adapter.get("use_rslora"):
        raise UnreadablePlan("use_rslora divides by the root of the rank, which no plan says")
    numbers: dict[str, float] = {
        name: whole(adapter.get(name, 2 if name == "top_k" else None), name)
        for name in ("r", "num_experts", "top_k")
    }
    numbers["lora_alpha"] = positive(adapter.get("lora_alpha"), "lora_alpha")
    targets = adapter.get("target_modules")
    if isinstance(targets, dict):
        targets = [name for name, wanted in targets.items() if wanted is True]
    return numbers, names(targets, "target_modules")
