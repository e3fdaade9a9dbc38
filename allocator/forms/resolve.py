"""Bring a draft together with the layers of a model, or take it as it is."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

from allocator.errors import PlanMismatch, UnreadablePlan
from allocator.forms.draft import Draft, Place, Scores
from allocator.forms.table import Adapted, Block, Mixture
from allocator.subject import Layer, Subject, Target
from analyzer.text import listed, shown


@dataclass(frozen=True, slots=True)
class Resolved:
    """A layer with the mixture of each of its modules, or with its one where it has none."""

    layer: Layer
    mixtures: tuple[Mixture, ...]


def as_written(draft: Draft) -> list[Resolved]:
    """The layers as the file has them: names as they stand, shapes where it gives them."""
    return [
        Resolved(
            Layer(
                block.stack,
                block.layer,
                tuple(Target(module.name, module.shape) for module in block.modules),
            ),
            block.mixtures,
        )
        for block in draft.blocks
    ]


def in_model(draft: Draft, subject: Subject) -> list[Resolved]:
    """The layers of a model that the draft speaks of, in the model's order.

    A module may be named by the last parts of its name; then it stands for every module of its
    layer that ends so. Raises PlanMismatch for what the model does not have.
    """
    layers = {Place(layer.stack, layer.layer): layer for layer in subject.layers}
    found: dict[Place, Resolved] = {}
    for block in draft.blocks:
        place = Place(_stack(block.stack, draft, subject), block.layer)
        if place not in layers:
            raise PlanMismatch(
                f"the model has no layer {block.layer} in {shown(place.stack)}; "
                "is the file for another model?"
            )
        if place in found:
            raise PlanMismatch(
                f"two stacks of the file are {shown(place.stack)} in the model; choose with --stack"
            )
        found[place] = _in_layer(block, layers[place])
    return [found[place] for place in layers if place in found]


def left_alone(resolved: Sequence[Resolved], subject: Subject) -> list[str]:
    """A warning where the draft leaves out layers of the model."""
    own = {(one.layer.stack, one.layer.layer) for one in resolved}
    missing = [
        f"{layer.layer} of {layer.stack}"
        for layer in subject.layers
        if (layer.stack, layer.layer) not in own
    ]
    return [f"the file leaves out layers {listed(missing)}: they get no adapter"] * bool(missing)


def with_scores(scores: Scores, subject: Subject) -> list[Layer]:
    """The layers of a model with scores as values. Raises PlanMismatch."""
    if len(scores.rows) != len(subject.layers):
        raise PlanMismatch(
            f"the scores are of {len(scores.rows)} layers, but the model has "
            f"{len(subject.layers)}; are they of another model?"
        )
    return [
        replace(
            layer,
            modules=tuple(_scored(layer, scores.names, row)) if scores.names else layer.modules,
            value=sum(row) / len(row),
        )
        for layer, row in zip(subject.layers, scores.rows, strict=True)
    ]


def _scored(layer: Layer, names: Sequence[str], row: Sequence[float]) -> Iterator[Target]:
    for name, value in zip(names, row, strict=True):
        for module in _named(layer, name):
            yield replace(module, value=value)


def _in_layer(block: Block, layer: Layer) -> Resolved:
    if not block.modules:
        return Resolved(layer, block.mixtures * len(layer.modules))
    given: dict[str, Adapted] = {}
    for adapted in block.modules:
        for module in _named(layer, adapted.name):
            if adapted.shape is not None and adapted.shape != module.shape:
                raise PlanMismatch(
                    f"{adapted.name} in layer {layer.layer} is {module.shape} in the model but "
                    f"{adapted.shape} in the file; is the file for another model?"
                )
            given.setdefault(module.name, adapted)
    kept = tuple(module for module in layer.modules if module.name in given)
    return Resolved(
        replace(layer, modules=kept), tuple(given[module.name].mixture for module in kept)
    )


def _named(layer: Layer, name: str) -> list[Target]:
    """The module of that name, else those whose names end so."""
    exact = [module for module in layer.modules if module.name == name]
    found = exact or [module for module in layer.modules if module.name.endswith(f".{name}")]
    if not found:
        raise PlanMismatch(
            f"layer {layer.layer} of {layer.stack} has no module {shown(name)}, only "
            f"{listed([module.name for module in layer.modules])}"
        )
    return found


def _stack(name: str, draft: Draft, subject: Subject) -> str:
    """The model's stack: of related prefix where the file tells it, else of the same name."""
    planned = {layer.stack for layer in subject.layers}
    prefix = {stack.name: stack.prefix for stack in draft.stacks}.get(name)
    if prefix is None:
        if name not in planned:
            raise PlanMismatch(f"the model has no stack {shown(name)}, only {listed([*planned])}")
        return name
    related = [
        stack.name
        for stack in subject.stacks
        if stack.name in planned and _ends(stack.prefix, prefix)
    ]
    if not related and len(planned) == 1:
        return planned.pop()
    if len(related) != 1:
        raise PlanMismatch(
            f"{shown(prefix)} fits {len(related)} stacks of the model; use full names, "
            "or choose with --stack"
        )
    return related[0]


def _ends(one: str, other: str) -> bool:
    return f".{one}".endswith(f".{other}") or f".{other}".endswith(f".{one}")


def check_names(resolved: Sequence[Resolved]) -> None:
    """Raise UnreadablePlan for names that no file can hold, or a layer half named."""
    for one in resolved:
        for name in (one.layer.stack, *(module.name for module in one.layer.modules)):
            try:
                name.encode()
            except UnicodeEncodeError as error:
                raise UnreadablePlan(f"{shown(name)} is no text; mend the file") from error
    if len({bool(one.layer.modules) for one in resolved}) > 1:
        raise UnreadablePlan("some layers name their modules and some do not; name all or none")
