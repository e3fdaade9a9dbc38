"""The registry of methods: each turns slots (layers or modules) and a total into counts."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from decimal import Decimal, localcontext
from fractions import Fraction
from typing import Any

from pydantic import Field, ValidationError

from allocator.alphalora import (
    MAX_BETA,
    as_released,
    exponential_allocation,
    exponential_weights,
)
from allocator.errors import InfeasibleBudget, InvalidRequest
from allocator.integers import EXACT, Allocation, Bounds, Rounding, allocate
from allocator.mola import parse_shape, shape_weights, tie_order
from analyzer.outline import Record


@dataclass(frozen=True, slots=True)
class Slots:
    """What experts are given to: layers, or modules in a per-module plan.

    `depths` holds the position of each slot's layer among `layers` layers; `values` its alpha.
    """

    depths: tuple[int, ...]
    layers: int
    values: tuple[float, ...] | None = None


class NoParameters(Record):
    """A method without parameters."""


class AlphaLoRAParameters(Record):
    """Parameters of alphalora."""

    beta: float = Field(2.5, ge=0, le=MAX_BETA, description="share ∝ alpha^beta; 0 is uniform")


class MolaParameters(Record):
    """Parameters of mola."""

    shape: str = Field("2468", description="a named shape, digits, or numbers with commas")


class CustomParameters(Record):
    """Parameters of custom."""

    counts: tuple[int, ...] = Field(description="experts of each layer, bottom to top")
    ranks: tuple[int, ...] | None = Field(None, description="of each layer; null: all alike")
    top_ks: tuple[int, ...] | None = Field(None, description="of each layer; null: all alike")


@dataclass(frozen=True, slots=True)
class Method:
    """A named rule.

    A method that brings its own budget gives its total over layers (`own_total`) or over slots
    (`own_slots`). `any_budget` is false where not every total can be met.
    """

    name: str
    summary: str
    needs_values: bool
    parameters: type[Record]
    allocate: Callable[[Slots, int, Any, Bounds, Rounding], Allocation]
    own_total: Callable[[int, Any], int] | None = None
    own_slots: Callable[[Any], int] | None = None
    any_budget: bool = True

    def parse(self, parameters: dict[str, Any]) -> Record:
        """Check parameters and fill in defaults. Raises InvalidRequest."""
        try:
            return self.parameters.model_validate(parameters)
        except ValidationError as error:
            first = error.errors()[0]
            name = ".".join(str(part) for part in first["loc"])
            known = ", ".join(self.parameters.model_fields) or "none"
            plain = {"missing": "is missing", "extra_forbidden": "is unknown"}
            reason = plain.get(first["type"], f"is wrong: {first['msg']}")
            raise InvalidRequest(
                f"method {self.name}, parameter {name} {reason}; its parameters are {known}"
            ) from error


def method_named(name: str) -> Method:
    """The method of that name. Raises InvalidRequest."""
    if name not in METHODS:
        raise InvalidRequest(f"method {name} is unknown; use one of {', '.join(METHODS)}")
    return METHODS[name]


def _values(slots: Slots) -> tuple[float, ...]:
    if slots.values is None:
        raise InvalidRequest("this method needs an alpha or score for every layer")
    return slots.values


def _alphalora(
    slots: Slots, total: int, parameters: AlphaLoRAParameters, bounds: Bounds, rounding: Rounding
) -> Allocation:
    return exponential_allocation(
        _values(slots), total, beta=parameters.beta, bounds=bounds, rounding=rounding
    )


def _as_released(
    slots: Slots, total: int, parameters: AlphaLoRAParameters, bounds: Bounds, rounding: Rounding
) -> Allocation:
    values = _values(slots)
    counts = as_released(values, total, parameters.beta)
    for position, count in enumerate(counts):
        if count < bounds.minimum:
            raise InfeasibleBudget(
                f"the released rule gives layer {slots.depths[position]} {count} experts, below "
                f"the least of {bounds.minimum}; use --method alphalora, which never does"
            )
        if bounds.maximum is not None and count > bounds.maximum:
            raise InfeasibleBudget(
                f"the released rule gives layer {slots.depths[position]} {count} experts, above "
                f"the most of {bounds.maximum}; use --method alphalora, which keeps bounds"
            )
    with localcontext(EXACT):
        weights = exponential_weights(values, parameters.beta)
        shares = tuple(float(total * weight / sum(weights)) for weight in weights)
    return Allocation(tuple(counts), shares)


def _mola(
    slots: Slots, total: int, parameters: MolaParameters, bounds: Bounds, rounding: Rounding
) -> Allocation:
    digits = parse_shape(parameters.shape)
    by_layer = shape_weights(digits, slots.layers)
    layer_rank = {layer: rank for rank, layer in enumerate(tie_order(digits, slots.layers))}
    order = sorted(range(len(slots.depths)), key=lambda i: (layer_rank[slots.depths[i]], i))
    weights = [_decimal(by_layer[depth]) for depth in slots.depths]
    return allocate(weights, total, bounds=bounds, rounding=rounding, preference=order)


def _mola_total(layers: int, parameters: MolaParameters) -> int:
    total = sum(shape_weights(parse_shape(parameters.shape), layers), Fraction(0))
    if total.denominator != 1:
        raise InvalidRequest(
            f"shape {parameters.shape} over {layers} layers sums to {float(total):g} experts, "
            "which is not whole; give a --budget"
        )
    return total.numerator


def _uniform(
    slots: Slots, total: int, parameters: NoParameters, bounds: Bounds, rounding: Rounding
) -> Allocation:
    return allocate([Decimal(1)] * len(slots.depths), total, bounds=bounds, rounding=rounding)


def _custom(
    slots: Slots, total: int, parameters: CustomParameters, bounds: Bounds, rounding: Rounding
) -> Allocation:
    counts = parameters.counts
    if len(counts) != len(slots.depths):
        raise InvalidRequest(
            f"custom gives {len(counts)} counts for {len(slots.depths)} layers or modules; "
            "give one for each"
        )
    if sum(counts) != total:
        raise InfeasibleBudget(
            f"the custom counts sum to {sum(counts)}, not to the budget of {total}; "
            "leave --budget out, the counts bring their own"
        )
    for name, given in (("ranks", parameters.ranks), ("top_ks", parameters.top_ks)):
        if given is not None and (len(given) != len(counts) or min(given) < 1):
            raise InvalidRequest(f"custom {name} are {given}; give one of at least 1 a count")
    for position, (top_k, count) in enumerate(zip(parameters.top_ks or (), counts, strict=False)):
        if top_k > count:
            raise InvalidRequest(
                f"custom top_k {top_k} at position {position} is above its {count} experts; "
                "lower it"
            )
    highest = bounds.maximum or max(counts)
    for position, count in enumerate(counts):
        if not bounds.minimum <= count <= highest:
            raise InfeasibleBudget(
                f"custom count {count} at position {position} is outside {bounds.minimum} to "
                f"{highest}; change it, --min-experts or --max-experts"
            )
    shares = tuple(float(count) for count in counts)
    return Allocation(counts, shares, parameters.ranks, parameters.top_ks)


def _custom_slots(parameters: CustomParameters) -> int:
    return sum(parameters.counts)


def _decimal(value: Fraction) -> Decimal:
    with localcontext(EXACT):
        return Decimal(value.numerator) / value.denominator


def _registry(methods: Sequence[Method]) -> dict[str, Method]:
    return {method.name: method for method in methods}


METHODS = _registry(
    [
        Method(
            "alphalora",
            "the less trained a layer looks (larger alpha), the more experts",
            True,
            AlphaLoRAParameters,
            _alphalora,
        ),
        Method(
            "alphalora_as_released",
            "AlphaLoRA's released code, for comparison",
            True,
            AlphaLoRAParameters,
            _as_released,
            any_budget=False,
        ),
        Method(
            "mola",
            "a fixed shape over the depth of the model",
            False,
            MolaParameters,
            _mola,
            _mola_total,
        ),
        Method("uniform", "the same for every layer", False, NoParameters, _uniform),
        Method(
            "custom",
            "your own counts",
            False,
            CustomParameters,
            _custom,
            own_slots=_custom_slots,
            any_budget=False,
        ),
    ]
)
