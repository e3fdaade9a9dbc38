"""AdaMoLE (https://github.com/zefang-liu/AdaMoLE): arguments for `train.py @FILE`.

Each line of such a file is one argument. The rank is that of all experts together. Its gates go by
a threshold (`adamole`); the same code has top-k gates under another type (`mole`), and takes only
one of threshold and top_k. lora_alpha is fixed at 16 in the code.
"""

from collections.abc import Sequence

from allocator.errors import UnreadablePlan
from allocator.forms.draft import Draft, Reading, alike
from allocator.forms.export import Export
from allocator.forms.nearest import Compromise, uniform
from allocator.forms.table import Mixture, lora_alpha_of, number, table_of
from allocator.forms.targets import last_names
from allocator.forms.texts import Files, as_text, names, one_number, only
from allocator.plan import Plan
from analyzer.text import shown

ARGUMENTS_FILE = "args.txt"
FIXED_ALPHA = 16.0
_TYPES = ("adamole", "mole")


def write_threshold(plan: Plan, compromise: Compromise) -> Export:
    """Arguments for AdaMoLE's own gates, the threshold at most 1/experts. Raises NotExpressible."""
    mixture, targets, warnings = _parts(plan, "adamole", compromise)
    gate = f"--threshold={1 / mixture.experts!r}"
    note = f"a threshold chooses the experts, so top_k {mixture.top_k} is not written; see mole"
    return _export("adamole", mixture, targets, gate, [*warnings, note])


def write_top_k(plan: Plan, compromise: Compromise) -> Export:
    """Arguments for the same trainer with top-k gates. Raises NotExpressible."""
    mixture, targets, warnings = _parts(plan, "mole", compromise)
    return _export("mole", mixture, targets, f"--top_k={mixture.top_k}", warnings)


def read(files: Files, reading: Reading) -> Draft:
    """Arguments of either type. Raises UnreadablePlan."""
    values = _arguments(as_text(only(files, "adamole")))
    kind = values.get("peft_type", [""])[-1]
    if kind not in _TYPES:
        raise UnreadablePlan(f"--peft_type is {shown(kind)}, not one of {', '.join(_TYPES)}")
    numbers = {
        name: one_number(" ".join(values[name]), f"--{name}")
        for name in ("lora_rank", "num_experts", "top_k")
        if values.get(name)
    }
    if "lora_rank" not in numbers or not numbers.get("num_experts"):
        raise UnreadablePlan("--lora_rank or --num_experts is missing; is it another form?")
    experts = numbers["num_experts"]
    rank, rest = divmod(numbers["lora_rank"], experts)
    if rest or not rank:
        raise UnreadablePlan(
            f"--lora_rank {numbers['lora_rank']} cannot be divided over {experts} experts"
        )
    places = reading.layers(None, "an AdaMoLE argument file")
    top_k = [numbers["top_k"]] * len(places) if "top_k" in numbers else None
    mixtures = reading.mixtures([experts] * len(places), top_k, [rank] * len(places))
    targets = names(values.get("target_modules", ["q_proj", "v_proj"]), "--target_modules")
    return Draft(tuple(alike(places, targets, mixtures)), reading.alpha(FIXED_ALPHA))


def _parts(plan: Plan, target: str, compromise: Compromise) -> tuple[Mixture, list[str], list[str]]:
    blocks = table_of(plan)
    targets = last_names(plan, blocks, target)
    mixture = uniform(blocks, target, compromise)
    alpha = lora_alpha_of(plan)
    warnings = list(compromise.warnings)
    if alpha != FIXED_ALPHA:
        warnings.append(
            f"AdaMoLE fixes lora_alpha at 16, the plan has {number(alpha)}: "
            f"the scale will be 16/{mixture.rank}"
        )
    return mixture, targets, warnings


def _export(
    target: str, mixture: Mixture, targets: Sequence[str], gate: str, warnings: Sequence[str]
) -> Export:
    lines = [
        f"--peft_type={target}",
        f"--lora_rank={mixture.experts * mixture.rank}",
        "--target_modules",
        *targets,
        f"--num_experts={mixture.experts}",
        gate,
    ]
    text = "\n".join(lines) + "\n"
    return Export(target=target, files={ARGUMENTS_FILE: text}, warnings=tuple(warnings))


def _arguments(text: str) -> dict[str, list[str]]:
    """Every flag with its values, a line each."""
    values: dict[str, list[str]] = {}
    current: list[str] = []
    for line in text.splitlines():
        if line.startswith("--"):
            name, equals, value = line[2:].partition("=")
            current = values[name] = [value] if equals else []
        elif line:
            current.append(line)
    return values
