"""What a file says, with what it leaves open filled in, before it meets a model."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from allocator.errors import InvalidRequest, UnreadablePlan
from allocator.forms.nearest import Compromise
from allocator.forms.table import Adapted, Block, Mixture, joined, number
from allocator.subject import BARE_STACK
from analyzer.architecture import Architecture
from analyzer.naming import find_stacks, split_block_name
from analyzer.outline import Stack
from analyzer.text import shown

MOST_LAYERS = 10_000
DEFAULT_TOP_K, DEFAULT_RANK, DEFAULT_ALPHA = 2, 8, 16.0


class Place(NamedTuple):
    """A layer of a stack."""

    stack: str
    layer: int


@dataclass(frozen=True, slots=True)
class Draft:
    """A table that a file holds; `stacks` where it tells their prefixes."""

    blocks: tuple[Block, ...]
    lora_alpha: float
    stacks: tuple[Stack, ...] = ()


@dataclass(frozen=True, slots=True)
class Scores:
    """One row of values a layer, of the modules `names`, or of the whole layer."""

    rows: tuple[tuple[float, ...], ...]
    names: tuple[str, ...] = ()


@dataclass(slots=True)
class Reading:
    """What was asked of an import, what is known of the model, and what was assumed.

    `places` are the layers of the model, or as many as the user said; `targets` the full name of
    every module of the model. Both are None without.
    """

    top_k: int | None = None
    rank: int | None = None
    lora_alpha: float | None = None
    order: str | None = None
    modules: tuple[str, ...] | None = None
    places: list[Place] | None = None
    targets: list[str] | None = None
    compromise: Compromise = field(default_factory=lambda: Compromise(allowed=False))
    warnings: list[str] = field(default_factory=list)

    def layers(self, count: int | None, what: str) -> list[Place]:
        """The layers that a list of `count` values is for; None: every layer that is known.

        Raises UnreadablePlan where the number is another, or not known.
        """
        if self.places is None:
            if count is None:
                raise UnreadablePlan(
                    f"{what} does not say how many layers there are; give --layers N or --model"
                )
            if count > MOST_LAYERS:
                raise UnreadablePlan(f"{what} gives {count} layers, above {MOST_LAYERS}")
            return [Place(BARE_STACK, layer) for layer in range(count)]
        if count is not None and count != len(self.places):
            raise UnreadablePlan(
                f"{what} gives {count} values, but there are {len(self.places)} layers; "
                "is it for another model?"
            )
        return self.places

    def mixtures(
        self,
        counts: Sequence[int],
        top_ks: Sequence[int] | None = None,
        ranks: Sequence[int] | None = None,
    ) -> list[Mixture]:
        """Mixtures from lists of the same length; None is filled in and said.

        Raises InvalidRequest where an option contradicts the file, UnreadablePlan where lengths
        differ or a number is below 1.
        """
        wanted = self._settled("top_k", "--top-k", top_ks, self.top_k, DEFAULT_TOP_K, len(counts))
        ranked = self._settled("rank", "--rank", ranks, self.rank, DEFAULT_RANK, len(counts))
        for name, values in (("experts", counts), ("top_k", wanted), ("rank", ranked)):
            if len(values) != len(counts):
                raise UnreadablePlan(f"{len(values)} values of {name} for {len(counts)} of experts")
            if min(values, default=1) < 1:
                raise UnreadablePlan(f"{name} is {min(values)}, but must be at least 1")
        above = [at for at, (k, count) in enumerate(zip(wanted, counts, strict=True)) if k > count]
        if above and top_ks is not None:
            self.warn(f"top_k is above the experts at position {joined(above[:10])}: lowered")
        return [
            Mixture(count, min(k, count), rank)
            for count, k, rank in zip(counts, wanted, ranked, strict=True)
        ]

    def alpha(self, said: float | None) -> float:
        """lora_alpha as the file, the option or the default has it. Raises like mixtures."""
        asked = self.lora_alpha
        if said is None:
            if asked is None:
                self.warn(f"lora_alpha was not given: {number(DEFAULT_ALPHA)}")
            return DEFAULT_ALPHA if asked is None else asked
        if asked is not None and asked != said:
            raise InvalidRequest(
                f"--lora-alpha {number(asked)} contradicts the file, which says {number(said)}; "
                "leave it out"
            )
        return said

    def warn(self, warning: str) -> None:
        """Note an assumption, once."""
        if warning not in self.warnings:
            self.warnings.append(warning)

    def _settled(
        self,
        name: str,
        option: str,
        said: Sequence[int] | None,
        asked: int | None,
        default: int,
        length: int,
    ) -> Sequence[int]:
        if said is None:
            if asked is None:
                limit = ", at most the experts" if name == "top_k" else ""
                self.warn(f"{name} was not given: {default}{limit}")
            return [default if asked is None else asked] * length
        if asked is not None and any(value != asked for value in said):
            raise InvalidRequest(
                f"{option} {asked} contradicts the file, which gives {name} itself; leave it out"
            )
        return said


def alike(
    places: Sequence[Place], names: Sequence[str], mixtures: Sequence[Mixture]
) -> list[Block]:
    """Blocks whose modules, called by these names, all have the layer's mixture."""
    return [
        Block(*place, tuple(Adapted(name, mixture) for name in names), None if names else mixture)
        for place, mixture in zip(places, mixtures, strict=True)
    ]


def by_full_name(mixtures: dict[str, Mixture]) -> tuple[list[Block], tuple[Stack, ...]]:
    """Blocks and stacks from modules by their full names, in the order of the names.

    Raises UnreadablePlan for a name without a block index.
    """
    stacks = find_stacks(mixtures, Architecture({}), gaps=True)
    rows: dict[Place, list[Adapted]] = {}
    for full, mixture in mixtures.items():
        block = split_block_name(full)
        if block is None or block.prefix not in stacks:
            raise UnreadablePlan(
                f"{shown(full)} is not the full name of a module in a layer, such as "
                "model.layers.3.self_attn.q_proj; give --model, so that its layers are known"
            )
        place = Place(stacks[block.prefix].name, block.layer)
        rows.setdefault(place, []).append(Adapted(block.suffix, mixture))
    order = {stack.name: position for position, stack in enumerate(stacks.values())}
    places = sorted(rows, key=lambda place: (order[place.stack], place.layer))
    return [Block(*place, tuple(rows[place])) for place in places], tuple(stacks.values())
