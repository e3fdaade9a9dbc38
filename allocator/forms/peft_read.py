"""Read a PEFT LoraConfig back as experts: rank E · r is E experts of rank r."""

from collections.abc import Mapping, Sequence
from typing import Any

from allocator.errors import UnreadablePlan
from allocator.forms.draft import Draft, Reading, by_full_name
from allocator.forms.table import number
from allocator.forms.texts import Files, as_object, names, only, positive, whole
from analyzer.text import shown

_OTHER = (
    "layers_to_transform", "layers_pattern", "exclude_modules", "target_parameters",
    "layer_replication", "use_rslora", "use_qalora", "use_bdlora",
)  # fmt: skip
"""Fields that change which modules are adapted, or the scale, in ways that no plan says."""


def read(files: Files, reading: Reading) -> Draft:
    """A LoraConfig, as PEFT saves it or as JSON of its keywords.

    Experts are rank / r, where r is --rank or the config's own; where the scale differs between
    modules, alpha_pattern / lora_alpha. Raises UnreadablePlan.
    """
    config = as_object(only(files, "peft"))
    _check(config)
    rank, alpha = (
        whole(config.get("r", 8), "r"),
        positive(config.get("lora_alpha", 8), "lora_alpha"),
    )
    ranks = _pattern(config, "rank_pattern")
    alphas = _pattern(config, "alpha_pattern")
    targets = config.get("target_modules")
    wanted = names(targets if isinstance(targets, list) else None, "target_modules")
    modules = _full_names(wanted, [*ranks, *alphas], reading)
    _check_keys(modules, ranks, alphas)
    found = {
        name: (
            whole(_of(ranks, name, rank), f"the rank of {shown(name)}"),
            positive(_of(alphas, name, alpha), f"the lora_alpha of {shown(name)}"),
        )
        for name in modules
    }
    counts, own_ranks, own_alpha = _experts(found, reading.rank, rank, alpha, bool(alphas))
    mixtures = reading.mixtures(counts, None, own_ranks)
    blocks, stacks = by_full_name(dict(zip(modules, mixtures, strict=True)))
    return Draft(tuple(blocks), reading.alpha(own_alpha), stacks)


def _check(config: Mapping[str, Any]) -> None:
    kind = config.get("peft_type", "LORA")
    if kind != "LORA":
        raise UnreadablePlan(f"peft_type is {shown(kind)}; only LORA is read")
    for name in _OTHER:
        if config.get(name):
            raise UnreadablePlan(f"the config sets {name}, which no plan can say; remove it")


def _pattern(config: Mapping[str, Any], name: str) -> dict[str, Any]:
    """A pattern with its keys as plain names: escapes and anchors undone."""
    pattern = config.get(name) or {}
    if not isinstance(pattern, dict):
        raise UnreadablePlan(f"{name} is no object; is it another form?")
    found = {}
    for key, value in pattern.items():
        plain = key.removeprefix("^").removesuffix("$").replace("\\", "")
        names([plain], name)
        found[plain] = value
    return found


def _full_names(wanted: Sequence[str], keys: Sequence[str], reading: Reading) -> list[str]:
    """The full names that targets stand for, by the model, else by the keys of the patterns.

    PEFT saves targets as their common last parts, while the patterns keep the names they had.
    """
    if not wanted:
        raise UnreadablePlan("target_modules is empty; is it a LoRA config?")
    known = dict.fromkeys(keys) if reading.targets is None else reading.targets
    by_end: dict[str, list[str]] = {}
    for name in known:
        for end in _ends(name):
            by_end.setdefault(end, []).append(name)
    if reading.targets is None and any(by_end.get(one, [one]) != [one] for one in wanted):
        reading.warn("without --model, only the modules that the patterns name are seen")
    # What is not found is left as it is: prefixes of files and live models differ, and the layers
    # of the model decide by stack and suffix later on.
    return list(dict.fromkeys(name for one in wanted for name in by_end.get(one, [one])))


def _ends(name: str) -> list[str]:
    """The name and everything that it ends with after a dot: what matches it in PEFT."""
    parts = name.split(".")
    return [".".join(parts[start:]) for start in range(len(parts))]


def _of(pattern: Mapping[str, Any], name: str, default: object) -> Any:
    """The value of the key that the name ends with, of several the first, as PEFT takes it."""
    hits = [end for end in _ends(name) if end in pattern]
    if len(hits) > 1:
        hits = [key for key in pattern if key in hits]
    return pattern[hits[0]] if hits else default


def _check_keys(modules: Sequence[str], *patterns: Mapping[str, Any]) -> None:
    used = {end for name in modules for end in _ends(name)}
    for key in (key for pattern in patterns for key in pattern):
        if key not in used:
            raise UnreadablePlan(
                f"{shown(key)} in the patterns fits no target module, so PEFT would ignore it; "
                "mend the config, or give --model"
            )


def _experts(
    found: Mapping[str, tuple[int, float]], asked: int | None, rank: int, alpha: float, own: bool
) -> tuple[list[int], list[int], float]:
    """Experts, ranks and lora_alpha from rank and lora_alpha by module."""
    unit = asked or rank
    scales = {_rounded(alpha_of / rank_of) for rank_of, alpha_of in found.values()}
    ranks = [rank_of for rank_of, _ in found.values()]
    if len(scales) == 1 and all(value % unit == 0 for value in ranks):
        scale = next(iter(scales))
        kept = unit == rank and scale == _rounded(alpha / rank)
        return [r // unit for r in ranks], [unit] * len(ranks), alpha if kept else scale * unit
    if asked is not None or not own:
        _refuse(found, unit, scales)
    counts = [round(alpha_of / alpha) for _, alpha_of in found.values()]
    for count, (rank_of, alpha_of) in zip(counts, found.values(), strict=True):
        if not count or rank_of % count or _rounded(alpha_of / alpha) != count:
            _refuse(found, unit, scales)
    return counts, [value // count for count, value in zip(counts, ranks, strict=True)], alpha


def _rounded(value: float) -> float:
    """To 12 digits, so that products of whole numbers and an alpha compare equal."""
    return float(f"{value:.12g}")


def _refuse(found: Mapping[str, tuple[int, float]], unit: int, scales: set[float]) -> None:
    odd = [name for name, (rank, _) in found.items() if rank % unit]
    if odd:
        raise UnreadablePlan(
            f"the rank of {shown(odd[0])} is {found[odd[0]][0]}, no multiple of {unit}: give the "
            "rank of one expert with --rank"
        )
    some = ", ".join(map(number, sorted(scales)[:3]))
    raise UnreadablePlan(
        f"lora_alpha / rank differs between modules ({some} …): "
        "rank_pattern needs an alpha_pattern of the same proportions"
    )
