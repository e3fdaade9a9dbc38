"""The nearest table that a target can say, where it cannot say the plan itself."""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from decimal import Decimal, localcontext
from fractions import Fraction
from itertools import chain

from allocator.errors import NotExpressible
from allocator.forms.table import Adapted, Block, Mixture, common, joined, number
from allocator.integers import EXACT, Bounds, allocate


@dataclass(slots=True)
class Compromise:
    """Whether the nearest may be taken, and what was given up for it."""

    allowed: bool
    warnings: list[str] = field(default_factory=list)

    def take(self, problem: str, nearest: str) -> None:
        """Note that the nearest is taken. Raises NotExpressible, naming it, where it may not be."""
        if not self.allowed:
            raise NotExpressible(f"{problem}; the nearest is {nearest}: take it with --nearest")
        self.warnings.append(f"{problem}; the nearest was taken: {nearest}")


def per_layer(blocks: Sequence[Block], target: str, compromise: Compromise) -> list[Block]:
    """Blocks whose modules all have the same mixture.

    A layer's weight is the mean count of its modules; the sum of these means stays.
    """
    if all(block.mixture for block in blocks):
        return list(blocks)
    means = [_mean([mixture.experts for mixture in block.mixtures]) for block in blocks]
    total = max(round(sum(means, Fraction(0))), len(blocks))
    with localcontext(EXACT):
        weights = [Decimal(mean.numerator) / mean.denominator for mean in means]
    counts = allocate(weights, total, bounds=Bounds()).counts
    found = [
        _alike(block, _near(block.mixtures, count))
        for block, count in zip(blocks, counts, strict=True)
    ]
    compromise.take(
        f"{target} gives all modules of a layer the same experts, top_k and rank, but in this "
        "plan they differ",
        f"{joined(counts)} (means of the modules, {total} experts in all)",
    )
    return found


def uniform(blocks: Sequence[Block], target: str, compromise: Compromise) -> Mixture:
    """One mixture for all modules: the mean count, the largest top_k, the mean rank."""
    mixtures = list(chain.from_iterable(block.mixtures for block in blocks))
    one = common(mixtures)
    if one is not None:
        return one
    experts = max(_nearest_whole(_mean([mixture.experts for mixture in mixtures])), 1)
    found = _near(mixtures, experts)
    compromise.take(
        f"{target} gives every module the same experts, top_k and rank, but in this plan they "
        "differ",
        f"{found.experts} experts with top_k {found.top_k} and rank {found.rank} everywhere",
    )
    return found


def one_top_k(blocks: Sequence[Block], target: str, compromise: Compromise) -> list[Block]:
    """Blocks whose modules share one top_k: the smallest of the layer."""
    found = []
    for block in blocks:
        least = min(mixture.top_k for mixture in block.mixtures)
        modules = tuple(
            replace(module, mixture=replace(module.mixture, top_k=least))
            for module in block.modules
        )
        found.append(replace(block, modules=modules))
    if found != list(blocks):
        compromise.take(
            f"{target} gives all modules of a layer the same top_k, but in this plan they differ",
            f"top_k {joined([block.mixtures[0].top_k for block in found])}",
        )
    return found


def whole_alpha(lora_alpha: float, target: str, compromise: Compromise) -> int:
    """lora_alpha as a whole number."""
    whole = max(round(lora_alpha), 1)
    if whole != lora_alpha:
        compromise.take(f"{target} takes a whole lora_alpha, not {number(lora_alpha)}", f"{whole}")
    return whole


def _near(mixtures: Sequence[Mixture], experts: int) -> Mixture:
    """The largest top_k, and the rank that keeps the sum of experts · rank nearest."""
    total = sum(mixture.experts for mixture in mixtures)
    ranks = Fraction(sum(mixture.experts * mixture.rank for mixture in mixtures), total)
    top_k = max(mixture.top_k for mixture in mixtures)
    return Mixture(experts, min(top_k, experts), max(_nearest_whole(ranks), 1))


def _alike(block: Block, mixture: Mixture) -> Block:
    modules = tuple(Adapted(module.name, mixture, module.shape) for module in block.modules)
    return replace(block, modules=modules)


def _mean(numbers: Sequence[int]) -> Fraction:
    return Fraction(sum(numbers), len(numbers))


def _nearest_whole(value: Fraction) -> int:
    return int(value + Fraction(1, 2))
