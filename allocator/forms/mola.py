"""Flags of MoLA, AlphaLoRA and LayerIF (https://github.com/GCYZSL/MoLA).

The training script is parsed by python-fire, which turns `1,3,5` into a tuple but leaves a single
`5` a number and a name with a dot a string, and iterates over whatever it got. So all four lists
are given, a list of one ends with a comma, and only the last parts of module names are written.
The evaluation script is parsed by argparse and splits at commas, so there no comma may be left
over.
"""

from collections.abc import Sequence

from allocator.errors import NotExpressible
from allocator.forms.draft import Draft, Reading, alike
from allocator.forms.export import Export
from allocator.forms.nearest import Compromise, per_layer, whole_alpha
from allocator.forms.shell import flags_of, pasted
from allocator.forms.table import Block, Mixture, joined, lora_alpha_of, table_of
from allocator.forms.targets import SEVEN, last_names
from allocator.forms.texts import Files, as_text, names, only, positive, whole_numbers
from allocator.plan import Plan

FLAGS_FILE = "flags.txt"
DROPOUT = 0.05
RUNS = ("llama", "mistral", "gemma")
_FLAGS = ("number_experts", "top_k", "lora_r", "lora_alpha", "lora_target_modules")


def write_training(plan: Plan, compromise: Compromise) -> Export:
    """Flags of the training scripts. Raises NotExpressible."""
    mixtures, targets, warnings = _layers(plan, "mola", compromise)
    alpha = whole_alpha(lora_alpha_of(plan), "mola", compromise)
    flags: dict[str, str | int | float] = {
        "lora_r": fire_list([mixture.rank for mixture in mixtures]),
        "lora_alpha": alpha,
        "lora_dropout": DROPOUT,
        "lora_target_modules": fire_list(targets),
        "number_experts": fire_list([mixture.experts for mixture in mixtures]),
        "top_k": fire_list([mixture.top_k for mixture in mixtures]),
        "obalance": True,
    }
    return Export(
        target="mola",
        files={FLAGS_FILE: pasted(flags)},
        warnings=(*compromise.warnings, *warnings, *foreign(plan, "MoLA")),
    )


def write_evaluation(plan: Plan, compromise: Compromise) -> Export:
    """Flags of the evaluation scripts, which take ranks from the adapter. Raises NotExpressible."""
    mixtures, targets, warnings = _layers(plan, "mola_eval", compromise)
    flags = {
        "lora_target_modules": ",".join(targets),
        "number_experts": joined([mixture.experts for mixture in mixtures]),
        "top_k": joined([mixture.top_k for mixture in mixtures]),
    }
    own = "--mola_weights is yours to add: the folder of the trained adapter"
    return Export(
        target="mola_eval",
        files={FLAGS_FILE: pasted(flags)},
        warnings=(*compromise.warnings, *warnings, own, *foreign(plan, "MoLA")),
    )


def read(files: Files, reading: Reading) -> Draft:
    """Flags, alone or in a script, of training or evaluation or both. Raises UnreadablePlan."""
    flags = flags_of(as_text(only(files, "mola")), _FLAGS, "number_experts")
    lists = {
        name: whole_numbers(flags[name], f"--{name}")
        for name in ("number_experts", "top_k", "lora_r")
        if name in flags
    }
    counts = lists["number_experts"]
    places = reading.layers(len(counts), "--number_experts")
    mixtures = reading.mixtures(counts, lists.get("top_k"), lists.get("lora_r"))
    alpha = flags.get("lora_alpha")
    targets = flags.get("lora_target_modules")
    modules = [] if targets is None else names(targets, "--lora_target_modules")
    return Draft(
        tuple(alike(places, modules, mixtures)),
        reading.alpha(None if alpha is None else positive(alpha, "--lora_alpha")),
    )


def fire_list(values: Sequence[int] | Sequence[str]) -> str:
    """A list that python-fire reads as a tuple, also where it has one value."""
    return ",".join(map(str, values)) + ("," if len(values) == 1 else "")


def foreign(plan: Plan, whose: str) -> list[str]:
    """A warning where the model is none that MoLA's code (or a fork of it) runs."""
    if plan.model_type is None or plan.model_type in RUNS:
        return []
    return [
        f"{whose}'s code runs Llama (AlphaLoRA's Mistral and Gemma too), "
        f"but the plan is for a {plan.model_type} model"
    ]


def one_stack(plan: Plan, blocks: Sequence[Block], target: str) -> None:
    """Raise NotExpressible unless the blocks are the layers 0 to L-1 of one stack."""
    stacks = {block.stack for block in blocks}
    if len(stacks) > 1:
        raise NotExpressible(
            f"{target} knows one stack of layers, but the plan has {', '.join(sorted(stacks))}; "
            "plan with --stack for one, or export to peft"
        )
    known = {stack.name: stack.layers for stack in plan.stacks}
    expected = known.get(blocks[0].stack, len(blocks))
    if [block.layer for block in blocks] != list(range(expected)):
        raise NotExpressible(
            f"{target} needs every layer from 0 to {expected - 1}, but the plan has "
            f"{len(blocks)} of them; plan for all layers, or export to peft"
        )


def _layers(
    plan: Plan, target: str, compromise: Compromise
) -> tuple[list[Mixture], list[str], list[str]]:
    """The mixture of each layer, the modules' names, and a warning where they are assumed."""
    blocks = table_of(plan)
    one_stack(plan, blocks, target)
    if any(block.modules for block in blocks):
        targets, warnings = last_names(plan, blocks, target), []
    else:
        targets = list(SEVEN)
        warnings = ["the plan names no modules: the seven of Llama are written, as MoLA's default"]
    layers = per_layer(blocks, target, compromise)
    return [block.mixtures[0] for block in layers], targets, warnings
