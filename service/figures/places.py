"""The axis along the depth of a model: a position for each layer."""

from collections.abc import Iterable

from service.figures.figure import Axis

Place = tuple[str, int]
"""Stack and number of a layer."""


def depth(places: Iterable[Place]) -> tuple[Axis, dict[Place, int]]:
    """The axis, and the position of each layer on it; stacks are named where there are several."""
    positions = {place: number for number, place in enumerate(dict.fromkeys(places))}
    several = len({stack for stack, _ in positions}) > 1
    names = tuple(f"{stack} {layer}" if several else str(layer) for stack, layer in positions)
    return Axis(name="layer", scale="category", categories=names), positions


def short_name(model: str) -> str:
    """A Hub id as it is; of a path the last part."""
    plain = model.rstrip("/\\").replace("\\", "/")
    return plain if plain.count("/") <= 1 and not plain.startswith("/") else plain.split("/")[-1]
