"""What a plan counts, row by row: layers, or modules in a per-module plan."""

from dataclasses import dataclass

from allocator.plan import Plan


@dataclass(frozen=True, slots=True)
class Slot:
    """One count with its place, exact share and alpha (or score) where they are known."""

    stack: str
    layer: int
    module: str | None
    experts: int
    share: float | None
    alpha: float | None


def slots_of(plan: Plan) -> list[Slot]:
    """One slot for each of the plan's counts, in their order."""
    slots = []
    for layer in plan.layers:
        if layer.experts is not None:
            slots.append(
                Slot(layer.stack, layer.layer, None, layer.experts, layer.share, layer.alpha)
            )
            continue
        slots.extend(
            Slot(layer.stack, layer.layer, each.name, each.experts, each.share, each.alpha)
            for each in layer.modules
        )
    return slots


def own_parameter(plan: Plan, name: str, slot: int, default: object) -> object:
    """What a list among the parameters (`ranks`, `top_ks`) gives one count; None beyond its end.

    The default where there is no such list.
    """
    listed = plan.parameters.get(name)
    if not isinstance(listed, list | tuple):
        return default
    return listed[slot] if slot < len(listed) else None
