"""One request for a plan, resolved against what it is made for."""

from collections.abc import Sequence
from typing import Any

from allocator.budget import Cost, total_experts
from allocator.integers import Allocation
from allocator.methods import Method, Slots, method_named
from allocator.options import PlanOptions
from allocator.plan import Alternative, PlanLayer, PlanModule
from allocator.stability import alternatives
from allocator.subject import Layer, Scores, Subject, subject_of
from analyzer.outline import Module, Outline
from analyzer.report import Analysis


class PlanRequest:
    """Options resolved against an analysis, outline or scores: total, counts and the plan's rows.

    Raises AllocatorError or AnalyzerError where they do not go together.
    """

    def __init__(self, given: Analysis | Outline | Scores, options: PlanOptions) -> None:
        """Resolve stacks, modules, values and the method's parameters."""
        self._given = given
        self._options = options
        self._method: Method = method_named(options.method)
        self._parameters = self._method.parse(options.parameters)
        self.subject: Subject = subject_of(given, options, self._method.needs_values)
        self._modules = [module for layer in self.subject.layers for module in layer.modules]
        self._slots = self._slots_of(self.subject, options)

    def _slots_of(self, subject: Subject, options: PlanOptions) -> Slots:
        layers = subject.layers
        if not options.per_module:
            values = tuple(layer.value for layer in layers if layer.value is not None)
            return Slots(tuple(range(len(layers))), len(layers), values or None)
        return Slots(
            depths=tuple(
                depth for depth, layer in enumerate(layers) for _ in range(len(layer.modules))
            ),
            layers=len(layers),
            values=(tuple(subject.module_values(options)) if self._method.needs_values else None),
        )

    def total(self) -> int:
        """Experts per layer, summed over layers."""
        layers = len(self.subject.layers)
        return total_experts(
            self._options, self._method, layers, self._own_total(layers), self._cost()
        )

    def _own_total(self, layers: int) -> int | None:
        """The total over layers that the method itself brings, where no budget was given."""
        if self._options.budget is None and self._method.own_total is not None:
            return self._method.own_total(layers, self._parameters)
        own = self._own_slots()
        return None if own is None else own * layers // len(self._slots.depths)

    def _own_slots(self) -> int | None:
        """The sum of counts that the method itself brings, where no budget was given."""
        if self._options.budget is None and self._method.own_slots is not None:
            return self._method.own_slots(self._parameters)
        return None

    def allocate(self, total: int) -> Allocation:
        """Counts for the slots at a total per layer."""
        layers = len(self.subject.layers)
        allocated = self._own_slots()
        if allocated is None:
            self._options.bounds.check(total, layers)
            allocated = total * len(self._slots.depths) // layers
        return self._method.allocate(
            self._slots, allocated, self._parameters, self._options.bounds, self._options.rounding
        )

    def stability(self, counts: tuple[int, ...]) -> tuple[Alternative, ...]:
        """The counts under the other estimators; empty for a method that uses none."""
        if not self._method.needs_values:
            return ()
        return alternatives(self._given, self._options, counts, self._counts_by)

    def _counts_by(self, subject: Subject, options: PlanOptions, allocated: int) -> tuple[int, ...]:
        """The counts from another subject's values, at the same sum of counts."""
        return self._method.allocate(
            self._slots_of(subject, options),
            allocated,
            self._parameters,
            options.bounds,
            options.rounding,
        ).counts

    def layers(self, allocation: Allocation) -> list[PlanLayer]:
        """The plan's layers."""
        rows = list(zip(allocation.counts, allocation.shares, strict=True))
        if not self._options.per_module:
            return [
                self._layer(layer, count, share)
                for layer, (count, share) in zip(self.subject.layers, rows, strict=True)
            ]
        values = self._slots.values or (None,) * len(rows)
        cells = iter(zip(rows, values, strict=True))
        built = []
        for layer in self.subject.layers:
            modules = []
            for module in layer.modules:
                (count, share), value = next(cells)
                modules.append(self._module(module, count, share, value))
            built.append(self._planned(layer, tuple(modules)))
        return built

    def _layer(self, layer: Layer, count: int, share: float) -> PlanLayer:
        modules = tuple(self._module(module, count) for module in layer.modules)
        return self._planned(layer, modules, share, count, min(self._options.top_k, count))

    def _planned(
        self,
        layer: Layer,
        modules: tuple[PlanModule, ...],
        share: float | None = None,
        experts: int | None = None,
        top_k: int | None = None,
    ) -> PlanLayer:
        return PlanLayer(
            stack=layer.stack,
            layer=layer.layer,
            alpha=layer.value,
            nominal_standard_error=layer.error,
            share=share,
            experts=experts,
            top_k=top_k,
            modules=modules,
        )

    def _module(
        self, module: Module, count: int, share: float | None = None, alpha: float | None = None
    ) -> PlanModule:
        return PlanModule(
            name=module.name,
            shape=module.shape,
            alpha=alpha,
            share=share,
            experts=count,
            top_k=min(self._options.top_k, count),
            rank=self._options.rank,
            lora_alpha=self._options.lora_alpha,
        )

    def _cost(self) -> Cost | None:
        if not self._modules:
            return None
        rank, layers = self._options.rank, self.subject.layers
        if self._options.per_module:
            least = min(sum(module.shape) for module in self._modules)
            cheapest = rank * least * len(self._modules) / len(layers)
        else:
            cheapest = float(
                rank * min(sum(sum(m.shape) for m in layer.modules) for layer in layers)
            )
        return Cost(
            lambda total: trainable_parameters(self.layers(self.allocate(total))) or 0, cheapest
        )

    def parameters(self) -> dict[str, Any]:
        """Every parameter of the plan, defaults included."""
        options = self._options
        by_alpha = self.subject.values == "alpha"
        return {
            **self._parameters.model_dump(mode="json"),
            "estimator": options.estimator if by_alpha else None,
            "aspect": options.aspect if by_alpha else None,
            "weighting": options.weighting if by_alpha else None,
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
    modules = [module for layer in layers for module in layer.modules]
    return sum(module.trainable_parameters for module in modules) if modules else None
