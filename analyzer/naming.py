"""Tensor and module names: which stack, layer and module they belong to.

One rule for files and live models: the first whole number in a dotted name is the block index,
what stands before it is the stack's prefix, what follows is the module's suffix.
"""

import re
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from analyzer.architecture import Architecture
from analyzer.errors import BadModel
from analyzer.outline import Stack, StackKind

_BLOCK = re.compile(r"0|[1-9][0-9]{0,5}")
_VISION = re.compile(r"(^|[._])(vision|visual|vit|image|img|deit|dinov2|clip)", re.IGNORECASE)
_AUDIO = re.compile(r"(^|[._])(audio|speech|acoustic)", re.IGNORECASE)
_NO_STACK = re.compile(
    r"(^|[._])(merger|projector|connector|resampler|qformer|abstractor|adapter|mtp|nextn)",
    re.IGNORECASE,
)


@dataclass(frozen=True, slots=True)
class BlockName:
    """A name inside a block: `model.layers.3.mlp.up_proj` is (model.layers, 3, mlp.up_proj)."""

    prefix: str
    layer: int
    suffix: str


def split_block_name(name: str) -> BlockName | None:
    """Divide a dotted name at its block index; None where it has none."""
    parts = name.split(".")
    for position, part in enumerate(parts):
        if _BLOCK.fullmatch(part) and 0 < position < len(parts) - 1:
            prefix, suffix = ".".join(parts[:position]), ".".join(parts[position + 1 :])
            return BlockName(prefix, int(part), suffix)
    return None


def find_stacks(
    modules: Iterable[str], architecture: Architecture, *, gaps: bool = False
) -> dict[str, Stack]:
    """The stacks among the names of weight-carrying modules, by prefix, in the models' order.

    A prefix is a stack when a module lies inside its numbered parts (`merger.mlp.0` itself is a
    module, not a block) and when it is neither the connector between two stacks nor a
    multi-token prediction head. Raises BadModel where a stack lacks a layer, unless it may have
    `gaps`.
    """
    layers: dict[str, set[int]] = {}
    for name in modules:
        block = split_block_name(name)
        if block is not None and not _NO_STACK.search(block.prefix):
            layers.setdefault(block.prefix, set()).add(block.layer)
    counts = {
        prefix: max(found) + 1 if gaps else _count(prefix, found)
        for prefix, found in layers.items()
    }
    prefixes = sorted(counts, key=lambda prefix: (not prefix.endswith(_ENCODER_ENDS), prefix))
    kinds = {prefix: _kind(prefix, architecture) for prefix in prefixes}
    names = _names(prefixes, kinds)
    return {
        prefix: Stack(name=names[prefix], kind=kinds[prefix], prefix=prefix, layers=counts[prefix])
        for prefix in prefixes
    }


_ENCODER_ENDS = tuple(f"encoder.{container}" for container in ("block", "layers", "layer", "h"))


def _count(prefix: str, found: set[int]) -> int:
    if max(found) >= len(found):
        missing = next(layer for layer in range(len(found) + 1) if layer not in found)
        raise BadModel(
            f"{prefix} has layer {max(found)} but no weights for layer {missing}: "
            "the checkpoint is incomplete; pass the folder that holds all its files"
        )
    return len(found)


def _kind(prefix: str, architecture: Architecture) -> StackKind:
    if _AUDIO.search(prefix):
        return "audio"
    if _VISION.search(prefix) or architecture.is_vision:
        return "vision"
    return "text"


def _names(prefixes: list[str], kinds: Mapping[str, StackKind]) -> dict[str, str]:
    sides = {prefix: _side(prefix) for prefix in prefixes if kinds[prefix] == "text"}
    paired = {"encoder", "decoder"} <= set(sides.values())
    wanted = {
        prefix: (sides.get(prefix) if paired else None) or kinds[prefix] for prefix in prefixes
    }
    taken = Counter(wanted.values())
    return {prefix: name if taken[name] == 1 else prefix for prefix, name in wanted.items()}


def _side(prefix: str) -> str | None:
    return next((part for part in prefix.split(".") if part in ("encoder", "decoder")), None)
