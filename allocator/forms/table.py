"""A plan as a table: what every layer, and every module in it, is given.

Forms write from this table and read into it.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from allocator.budget import MAX_EXPERTS
from allocator.errors import NotExpressible, UnreadablePlan
from allocator.plan import Plan, PlanLayer
from allocator.slots import own_parameter

Shape = tuple[int, int]


@dataclass(frozen=True, slots=True)
class Mixture:
    """The LoRA experts of one module: how many, how many of them active, of which rank."""

    experts: int
    top_k: int
    rank: int


@dataclass(frozen=True, slots=True)
class Adapted:
    """A module with its mixture; `shape` is out × in where known."""

    name: str
    mixture: Mixture
    shape: Shape | None = None


@dataclass(frozen=True, slots=True)
class Block:
    """One layer; `own` is its mixture where its modules are not named."""

    stack: str
    layer: int
    modules: tuple[Adapted, ...] = ()
    own: Mixture | None = None

    @property
    def mixture(self) -> Mixture | None:
        """What every module of the layer has; None where they differ."""
        return self.own or common(module.mixture for module in self.modules)

    @property
    def mixtures(self) -> tuple[Mixture, ...]:
        """The mixture of every module, or the layer's own."""
        if self.own is not None:
            return (self.own,)
        return tuple(module.mixture for module in self.modules)


def common(mixtures: Iterable[Mixture]) -> Mixture | None:
    """The one mixture that all have; None where they differ or there are none."""
    found = set(mixtures)
    return found.pop() if len(found) == 1 else None


def table_of(plan: Plan) -> list[Block]:
    """The layers of a plan, top_k at most the experts.

    Raises UnreadablePlan where a document, made by hand, leaves a layer without a whole mixture.
    """
    if not plan.layers:
        raise UnreadablePlan("the plan has no layers; make one with `tailora plan`")
    return [_block(plan, position, layer) for position, layer in enumerate(plan.layers)]


def _block(plan: Plan, position: int, layer: PlanLayer) -> Block:
    if layer.modules:
        modules = tuple(
            Adapted(
                module.name,
                _mixture(layer, module.experts, module.top_k, module.rank),
                module.shape,
            )
            for module in layer.modules
        )
        return Block(layer.stack, layer.layer, modules)
    rank = own_parameter(plan, "ranks", position, plan.parameters.get("rank"))
    own = _mixture(layer, layer.experts, layer.top_k, rank)
    return Block(layer.stack, layer.layer, own=own)


def _mixture(layer: PlanLayer, experts: object, top_k: object, rank: object) -> Mixture:
    if not (isinstance(experts, int) and isinstance(top_k, int) and isinstance(rank, int)):
        raise UnreadablePlan(
            f"layer {layer.layer} of {layer.stack} lacks experts, top_k or rank; make the plan anew"
        )
    if min(experts, top_k, rank) < 1 or experts > MAX_EXPERTS:
        raise UnreadablePlan(
            f"layer {layer.layer} of {layer.stack} has experts {experts}, top_k {top_k} and rank "
            f"{rank}; each must be at least 1 and experts at most {MAX_EXPERTS}: make it anew"
        )
    return Mixture(experts, min(top_k, experts), rank)


def lora_alpha_of(plan: Plan) -> float:
    """The lora_alpha of all modules. Raises NotExpressible where they differ."""
    found = {module.lora_alpha for layer in plan.layers for module in layer.modules}
    if len(found) > 1:
        raise NotExpressible(
            f"modules of the plan have lora_alpha {', '.join(map(number, sorted(found)))}, but no "
            "form has more than one; make a plan with one lora_alpha"
        )
    value = found.pop() if found else plan.parameters.get("lora_alpha")
    if not isinstance(value, int | float) or not 0 < value < float("inf"):
        raise UnreadablePlan(f"lora_alpha is {value}, not a positive number; make the plan anew")
    return value


def number(value: float) -> str:
    """A number as short as it can be without loss: 16 of 16.0."""
    return str(int(value)) if value == int(value) else repr(float(value))


def joined(numbers: Sequence[int]) -> str:
    """`1,3,5`."""
    return ",".join(map(str, numbers))
