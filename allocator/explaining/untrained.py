"""What alphas would be without any training: the value of Hill's estimator on random matrices."""

from dataclasses import dataclass
from functools import cached_property

from allocator.explaining.reading import Reading
from analyzer.aspect import marchenko_pastur_hill
from analyzer.fused import may_be_fused

LONGEST_RATIO = 1000
ALIKE = 0.01


@dataclass(frozen=True)
class Shapes:
    """The shapes of the adapted modules, where a module's shape is that of its matrix.

    A fused module stands for several matrices whose shapes the plan does not hold; it is left out.
    """

    reading: Reading

    @property
    def by_hill(self) -> bool:
        """Whether the plan's alphas are Hill's, uncorrected."""
        reading = self.reading
        return (
            reading.by_alpha
            and reading.parameter("estimator") == "hill"
            and reading.parameter("aspect") == "none"
        )

    @cached_property
    def by_layer(self) -> list[list[tuple[int, int]]]:
        """The usable shapes of each layer's modules."""
        return [
            [
                module.shape
                for module in layer.modules
                if module.shape is not None
                and min(module.shape) > 0
                and max(module.shape) <= LONGEST_RATIO * min(module.shape)
                and not may_be_fused(module.name)
            ]
            for layer in self.reading.plan.layers
        ]

    @property
    def complete(self) -> bool:
        """Whether every adapted module is among them."""
        modules = [len(layer.modules) for layer in self.reading.plan.layers]
        return all(modules) and modules == [len(shapes) for shapes in self.by_layer]

    @cached_property
    def ratios(self) -> list[float]:
        """Long side over short side, each once, ascending."""
        return sorted({_ratio(shape) for shapes in self.by_layer for shape in shapes})

    @property
    def mixed(self) -> bool:
        """Whether some are more elongated than others."""
        return bool(self.ratios) and self.ratios[-1] > (1 + ALIKE) * self.ratios[0]

    @property
    def alike(self) -> bool:
        """Whether every layer has the same ratios, so that layers can be compared."""
        return len({tuple(sorted(map(_ratio, shapes))) for shapes in self.by_layer}) == 1

    def references(self) -> list[float]:
        """The alpha of each layer if its matrices were random, by the plan's own mean."""
        weighted = self.reading.parameter("weighting") == "parameters"
        return [
            sum(size * marchenko_pastur_hill(_ratio(shape)) for shape, size in sized)
            / sum(size for _, size in sized)
            for shapes in self.by_layer
            for sized in [[(shape, shape[0] * shape[1] if weighted else 1) for shape in shapes]]
        ]


def _ratio(shape: tuple[int, int]) -> float:
    return max(shape) / min(shape)
