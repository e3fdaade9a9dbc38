"""A plan as the sections of its explanation need it."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from allocator.alphalora import exponential_weights
from allocator.errors import AllocatorError
from allocator.methods import METHODS
from allocator.plan import Plan
from allocator.slots import Slot, slots_of
from allocator.wording import place_name, runs, shortened


@dataclass(frozen=True)
class Reading:
    """A plan with its counts as slots, and the words that fit them."""

    plan: Plan

    @cached_property
    def slots(self) -> list[Slot]:
        """Layers, or modules in a per-module plan."""
        return slots_of(self.plan)

    @cached_property
    def counts(self) -> list[int]:
        """Experts of every slot."""
        return [slot.experts for slot in self.slots]

    @property
    def unit(self) -> str:
        """What has a count: layer or module."""
        return "module" if self.plan.per_module else "layer"

    @property
    def known_method(self) -> bool:
        """Whether this version knows the plan's method."""
        return self.plan.method in METHODS

    @property
    def valued(self) -> bool:
        """Whether the counts follow alphas or scores."""
        return (
            self.known_method
            and METHODS[self.plan.method].needs_values
            and self.plan.values != "none"
        )

    @property
    def by_alpha(self) -> bool:
        """Whether the counts follow measured alphas."""
        return self.valued and self.plan.values == "alpha"

    @property
    def even(self) -> bool:
        """Whether every count is the same."""
        return len(set(self.counts)) == 1

    @cached_property
    def stacks(self) -> list[str]:
        """The stacks that the plan has layers of, in order."""
        return list(dict.fromkeys(layer.stack for layer in self.plan.layers))

    @cached_property
    def top_ks(self) -> list[int]:
        """The numbers of experts that a token uses, where there are several to choose from."""
        pairs = (
            [(layer.experts, layer.top_k)]
            if layer.experts is not None
            else [(module.experts, module.top_k) for module in layer.modules]
            for layer in self.plan.layers
        )
        found = {top_k for layer in pairs for experts, top_k in layer if top_k and experts > 1}
        return sorted(found)

    def parameter(self, name: str) -> Any:
        """A parameter of the plan; None where it has none of that name."""
        return self.plan.parameters.get(name)

    @property
    def beta(self) -> float | None:
        """The exponent of the shares."""
        beta = self.parameter("beta")
        return float(beta) if isinstance(beta, int | float) else None

    @cached_property
    def alphas(self) -> list[float]:
        """The alpha (or score) of every slot; empty unless all are known."""
        known = [slot.alpha for slot in self.slots if slot.alpha is not None]
        return known if len(known) == len(self.slots) else []

    @cached_property
    def free_shares(self) -> list[float]:
        """The shares that alpha^beta alone would give, without bounds; empty where not known."""
        if not self.valued or not self.alphas or self.beta is None:
            return []
        try:
            weights = exponential_weights(self.alphas, self.beta)
        except AllocatorError:
            return []
        whole = sum(weights)
        return [float(self.plan.budget.allocated * weight / whole) for weight in weights]

    def place(self, slot: Slot) -> str:
        """Where a slot is, in words."""
        return place_name(slot.stack, slot.layer, slot.module, stacks=len(self.stacks))

    def places(self, slots: Sequence[Slot]) -> str:
        """`layer 3`, `layers 0-3, 5`, or the first of longer names."""
        if self.plan.per_module or len(self.stacks) > 1:
            return shortened([self.place(slot) for slot in slots])
        word = "layer" if len(slots) == 1 else "layers"
        return f"{word} {runs(slot.layer for slot in slots)}"

    def with_count(self, count: int) -> list[Slot]:
        """The slots that have this many experts."""
        return [slot for slot in self.slots if slot.experts == count]

    def module_names(self) -> Iterator[str]:
        """The names of the adapted modules, each once."""
        yield from dict.fromkeys(m.name for layer in self.plan.layers for m in layer.modules)
