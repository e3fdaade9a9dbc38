"""One request for a plan, resolved against what it is made for."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

from allocator.budget import Cost, total_experts
from allocator.integers import Allocation
from allocator.methods import Method, Slots, method_named
from allocator.options import PlanOptions
from allocator.plan import PlanLayer, PlanModule
from allocator.subject import Given, Layer, Subject, Target, subject_of


class PlanRequest:
    """Options resolved against an analysis, outline or scores: total, counts and the plan's rows.

    Raises AllocatorError or AnalyzerError where they do not go together.
    """

    def __init__(self, given: Given, options: PlanOptions) -> None:
        """Resolve stacks, modules, values and the method's parameters."""
        self.options = options
        self._method: Method = method_named(options.method)
        self._parameters = self._method.parse(options.parameters)
        self.subject: Subject = subject_of(given, options, self._method.needs_values)
        self._slots = self._slots_of_subject()

    def _slots_of_subject(self) -> Slots:
        layers = self.subject.layers
        if not self.options.per_module:
            values = tuple(layer.value for layer in layers if layer.value is not None)
            return Slots(tuple(range(len(layers))), len(layers), values or None)
        return Slots(
            depths=tuple(
                depth for depth, layer in enumerate(layers) for _ in range(len(layer.modules))
            ),
            layers=len(layers),
            values=self.subject.alphas(self.options) if self._method.needs_values else None,
        )

    def total(self) -> int:
        """Experts per layer, summed over layers."""
        layers = len(self.subject.layers)
        return total_experts(
            self.options, self._method, layers, self._own_total(layers), self._cost()
        )

    def _own_total(self, layers: int) -> int | None:
        """The total over layers that the method itself brings, where no budget was given."""
        if self.options.budget is None and self._method.own_total is not None:
            return self._method.own_total(layers, self._parameters)
        own = self._own_slots()
        return None if own is None else own * layers // len(self._slots.depths)

    def _own_slots(self) -> int | None:
        """The sum of counts that the method itself brings, where no budget was given."""
        if self.options.budget is None and self._method.own_slots is not None:
            return self._method.own_slots(self._parameters)
        return None

    def allocate(self, total: int) -> Allocation:
        """Counts for the slots at a total per layer."""
        layers = len(self.subject.layers)
        allocated = self._own_slots()
        if allocated is None:
            self.options.bounds.check(total, layers)
            allocated = total * len(self._slots.depths) // layers
        return self._divide(self._slots, allocated)

    def recount(self, values: tuple[float, ...], allocated: int) -> tuple[int, ...]:
        """The counts from other values, at a sum of counts. Raises AllocatorError."""
        return self._divide(replace(self._slots, values=values), allocated).counts

    def _divide(self, slots: Slots, allocated: int) -> Allocation:
        return self._method.allocate(
            slots, allocated, self._parameters, self.options.bounds, self.options.rounding
        )

    def layers(self, allocation: Allocation) -> list[PlanLayer]:
        """The plan's layers."""
        slots = iter(self._slot_rows(allocation))
        built = []
        for layer in self.subject.layers:
            if self.options.per_module:
                modules = tuple(self._module(module, next(slots)) for module in layer.modules)
                built.append(self._layer(layer, modules, None))
            else:
                slot = next(slots)
                common = replace(slot, share=None, value=None)
                modules = tuple(self._module(module, common) for module in layer.modules)
                built.append(self._layer(layer, modules, slot))
        return built

    def _slot_rows(self, allocation: Allocation) -> list["_Slot"]:
        """What each slot gets; a method that leaves rank and top_k open takes the options'."""
        counts, options = allocation.counts, self.options
        return [
            _Slot(*row)
            for row in zip(
                counts,
                allocation.shares,
                self._slots.values or (None,) * len(counts),
                allocation.ranks or (options.rank,) * len(counts),
                allocation.top_ks or [min(options.top_k, count) for count in counts],
                strict=True,
            )
        ]

    def _layer(
        self, layer: Layer, modules: tuple[PlanModule, ...], slot: "_Slot | None"
    ) -> PlanLayer:
        return PlanLayer(
            stack=layer.stack,
            layer=layer.layer,
            alpha=layer.value,
            nominal_standard_error=layer.error,
            share=slot.share if slot else None,
            experts=slot.count if slot else None,
            top_k=slot.top_k if slot else None,
            modules=modules,
        )

    def _module(self, module: Target, slot: "_Slot") -> PlanModule:
        return PlanModule(
            name=module.name,
            shape=module.shape,
            alpha=slot.value,
            share=slot.share,
            experts=slot.count,
            top_k=slot.top_k,
            rank=slot.rank,
            lora_alpha=self.options.lora_alpha,
        )

    def _cost(self) -> Cost | None:
        layers = self.subject.layers
        sizes = [[sum(m.shape) for m in layer.modules if m.shape] for layer in layers]
        modules = sum(len(layer.modules) for layer in layers)
        if modules == 0 or sum(map(len, sizes)) < modules:
            return None
        rank = self.options.rank
        if self.options.per_module:
            least = min(size for layer in sizes for size in layer)
            cheapest = rank * least * modules / len(layers)
        else:
            cheapest = float(rank * min(map(sum, sizes)))
        return Cost(
            lambda total: trainable_parameters(self.layers(self.allocate(total))) or 0, cheapest
        )

    def parameters(self) -> dict[str, Any]:
        """Every parameter of the plan, defaults included."""
        options = self.options
        by_alpha = self.subject.values == "alpha"
        return {
            **self._parameters.model_dump(mode="json", exclude_none=True),
            "estimator": options.estimator if by_alpha else None,
            "aspect": options.aspect if by_alpha else None,
            "weighting": options.weighting if by_alpha else None,
            **({"windows": self.subject.windows} if self.subject.windows else {}),
            **({"rounded": True} if self.subject.rounded else {}),
            "rounding": options.rounding,
            "min_experts": options.min_experts,
            "max_experts": options.max_experts,
            "top_k": options.top_k,
            "rank": options.rank,
            "lora_alpha": options.lora_alpha,
            "modules": list(options.modules) if options.modules else None,
            "per_module": options.per_module,
            "stack": options.stack,
        }


def trainable_parameters(layers: Sequence[PlanLayer]) -> int | None:
    """Numbers to train in all layers; None where their modules are not known."""
    numbers = [module.trainable_parameters for layer in layers for module in layer.modules]
    known = [number for number in numbers if number is not None]
    return sum(known) if numbers and len(known) == len(numbers) else None


@dataclass(frozen=True, slots=True)
class _Slot:
    """What one slot gets, and why."""

    count: int
    share: float | None
    value: float | None
    rank: int
    top_k: int
