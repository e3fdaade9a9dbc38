"""Find every packed weight of a checkpoint, and what is packed in a way that cannot be read."""

from dataclasses import dataclass, field

from analyzer.naming import split_block_name
from analyzer.packing import unknown
from analyzer.packing.bitsandbytes import bnb_4bit, bnb_int8
from analyzer.packing.checkpoint import CannotUnpack, Checkpoint, PackedWeight
from analyzer.packing.compressed import compressed_packed
from analyzer.packing.gptq import gptq_or_awq
from analyzer.packing.nibbles import compressed_fp4, mxfp4
from analyzer.packing.scaled import compressed_int, fp8

_FORMATS = (
    bnb_4bit, bnb_int8, gptq_or_awq, compressed_packed, compressed_fp4, mxfp4, compressed_int, fp8,
)  # fmt: skip


_GUESSED = (
    "no config.json says how GPTQ stored its zero points; they are read as checkpoint_format gptq"
)


@dataclass
class Packed:
    """The packed weights by their main tensor, their other tensors, and what cannot be read."""

    weights: dict[str, PackedWeight] = field(default_factory=dict)
    companions: set[str] = field(default_factory=set)
    unreadable: dict[str, str] = field(default_factory=dict)
    """The reason, by stored tensor."""
    whole: str | None = None
    """Why nothing of the checkpoint can be read, whatever its tensors look like."""
    guessed: bool = False
    """Whether GPTQ's zero points had to be read without a config that says how they are stored."""

    @property
    def formats(self) -> str | None:
        """The packings that were found, in words; None where every weight is plain."""
        if self.problem is not None:
            return "packed weights"
        found = {weight.packing.format for weight in self.weights.values()}
        return ", ".join(sorted(found)) or None

    @property
    def warnings(self) -> tuple[str, ...]:
        """What had to be assumed."""
        return (_GUESSED,) if self.guessed else ()

    @property
    def problem(self) -> str | None:
        """One line on what cannot be dequantised; None where everything can."""
        if self.whole is not None or not self.unreadable:
            return self.whole
        named = (item for item in self.unreadable.items() if item[1] != unknown.UNNAMED)
        tensor, reason = next(named, next(iter(self.unreadable.items())))
        more = len(self.unreadable) - 1
        line = reason if tensor in reason else f"{tensor} ({reason})"
        return f"{line}, and {more} more" if more else line


def find_packed(checkpoint: Checkpoint) -> Packed:
    """The packed weights of a checkpoint.

    Raises UnreadableFile where a small tensor that describes a weight is damaged.
    """
    packed = Packed(whole=unknown.declared(checkpoint))
    if packed.whole is None:
        for _, info in checkpoint.tensors.values():
            try:
                weights = (read(checkpoint, info) for read in _FORMATS)
                found = next((weight for weight in weights if weight is not None), None)
            except CannotUnpack as reason:
                packed.unreadable[info.name] = str(reason)
                continue
            if found is not None:
                packed.weights[found.main] = found
                others = {location.tensor for location in found.packing.tensors.values()}
                packed.companions |= others - {found.main}
    _name_the_rest(checkpoint, packed)
    forms = {weight.packing.format for weight in packed.weights.values()}
    packed.guessed = checkpoint.method is None and "gptq" in forms
    if checkpoint.method is not None and not packed.weights and packed.problem is None:
        packed.whole = f"config.json declares {checkpoint.method}, but no weight is packed that way"
    return packed


def _name_the_rest(checkpoint: Checkpoint, packed: Packed) -> None:
    seen = packed.weights.keys() | packed.companions | packed.unreadable.keys()
    facts = {
        f"{weight.name.removesuffix('.weight')}.{fact}"
        for weight in packed.weights.values()
        for fact in ("weight_format", "g_idx")
    }
    for name, (_, info) in checkpoint.tensors.items():
        if name in seen or name in facts:
            continue
        reason = unknown.name_of(checkpoint, info, split_block_name(name) is not None)
        if reason is not None:
            packed.unreadable[name] = reason
