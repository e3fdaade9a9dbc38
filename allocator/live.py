"""Match a plan with a live model, so that a trainer knows which module gets what.

Names in files and at run time differ: prefixes change with the head that is put on a model, and
transformers renames modules while loading. So transformers' own renamings are applied to the
names in the plan, and then stack, layer, suffix and shape must agree; prefixes never count.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

from allocator.errors import PlanMismatch
from allocator.plan import Plan, PlanLayer, PlanModule
from analyzer.architecture import Architecture
from analyzer.naming import find_stacks, split_block_name
from analyzer.outline import Stack

Place = tuple[str, int, str]


@dataclass(frozen=True, slots=True)
class Match:
    """A plan and a live model, brought together.

    `plan` carries the live suffix of every module; `modules` maps the full live name of every
    adapted module to what the plan gives it.
    """

    plan: Plan
    modules: dict[str, PlanModule]
    warnings: tuple[str, ...]


def match_plan(plan: Plan, model: Any) -> Match:
    """Find every module of a plan in a live torch model.

    Raises PlanMismatch where a layer count, a module or a shape differs. Another commit of the
    same model is a warning.
    """
    if not any(layer.modules for layer in plan.layers):
        raise PlanMismatch(
            "the plan was made from scores and names no modules; make it from the model's files"
        )
    rename = _renamings(model)
    prefixes = {stack.name: stack.prefix for stack in plan.stacks}
    live = _LiveModel(model)
    live_stacks = _live_stacks(plan, live)
    modules: dict[str, PlanModule] = {}
    layers: list[PlanLayer] = []
    for layer in plan.layers:
        matched = []
        for module in layer.modules:
            stored = f"{prefixes[layer.stack]}.{layer.layer}.{module.name}"
            live_name = rename(f"{stored}.weight").removesuffix(".weight")
            place = _place(live_stacks[layer.stack], layer, module, live_name)
            name = live.find(place, stored)
            found = module.model_copy(update={"live": place[2]})
            modules[name] = _joined(modules.get(name), found, name)
            matched.append(found)
        layers.append(layer.model_copy(update={"modules": tuple(matched)}))
    for name, module in list(modules.items()):
        if module.shape is None:
            modules[name] = module.model_copy(update={"shape": live.shapes[name]})
        elif module.shape != live.shapes[name]:
            raise PlanMismatch(
                f"{name} is {live.shapes[name]} in the model but {module.shape} in the plan; "
                "make the plan from this model's files"
            )
    matched_plan = plan.model_copy(update={"layers": tuple(layers)})
    return Match(matched_plan, modules, tuple(_commit_warning(plan, model)))


class _LiveModel:
    """The linear modules of a model by place, and its stacks by name."""

    def __init__(self, model: Any) -> None:
        self.shapes = {
            name: shape
            for name, module in model.named_modules()
            if (shape := linear_shape(module)) is not None
        }
        weighted = {
            name.rpartition(".")[0]
            for name, parameter in model.named_parameters()
            if parameter.ndim == 2
        }
        by_prefix = find_stacks(sorted(weighted), _architecture(model))
        self.stacks: dict[str, Stack] = {stack.name: stack for stack in by_prefix.values()}
        self._names: dict[Place, str] = {}
        for name in self.shapes:
            block = split_block_name(name)
            if block is not None and block.prefix in by_prefix:
                self._names[by_prefix[block.prefix].name, block.layer, block.suffix] = name

    def find(self, place: Place, stored: str) -> str:
        """The full live name of the module at a place."""
        if place not in self._names:
            stack, layer, suffix = place
            present = sorted(s for st, ly, s in self._names if (st, ly) == (stack, layer))
            raise PlanMismatch(
                f"{stored} of the plan is not in the model: layer {layer} of {stack} has no "
                f"{suffix}, only {', '.join(present) or 'nothing'}"
            )
        return self._names[place]


def _live_stacks(plan: Plan, live: _LiveModel) -> dict[str, str]:
    """The live stack of each planned one: of the same name, else the only one of its kind.

    Half of a T5 is a text model of its own, so names depend on what was loaded.
    """
    found = {}
    planned = {layer.stack for layer in plan.layers}
    for stack in (stack for stack in plan.stacks if stack.name in planned):
        alike = [other for other in live.stacks.values() if other.kind == stack.kind]
        match = live.stacks.get(stack.name) or (alike[0] if len(alike) == 1 else None)
        if match is None or (len(planned) > 1 and stack.name != match.name):
            raise PlanMismatch(
                f"the model has no stack {stack.name}, only {', '.join(live.stacks) or 'none'}"
            )
        if match.layers != stack.layers:
            raise PlanMismatch(
                f"stack {stack.name} has {match.layers} layers in the model but {stack.layers} "
                "in the plan; make the plan from this model's files"
            )
        found[stack.name] = match.name
    return found


def _place(stack: str, layer: PlanLayer, module: PlanModule, live_name: str) -> Place:
    block = split_block_name(live_name)
    if block is None:
        return stack, layer.layer, module.name
    return stack, block.layer, block.suffix


def _joined(before: PlanModule | None, found: PlanModule, name: str) -> PlanModule:
    """Modules stored apart may be one live module; then they need the same counts."""
    if before is None:
        return found
    if before.experts != found.experts:
        raise PlanMismatch(
            f"{name} is one module in the model, but the plan gives its stored parts "
            f"{before.experts} and {found.experts} experts; make the plan per layer"
        )
    if before.shape is None or found.shape is None:
        return before.model_copy(update={"shape": None})
    rows = before.shape[0] + found.shape[0]
    return before.model_copy(update={"shape": (rows, before.shape[1])})


def linear_shape(module: Any) -> tuple[int, int] | None:
    """Out × in of anything that behaves like a linear layer (quantised ones and Conv1D too)."""
    rows, columns = getattr(module, "out_features", None), getattr(module, "in_features", None)
    if isinstance(rows, int) and isinstance(columns, int):
        return rows, columns
    width, weight = getattr(module, "nf", None), getattr(module, "weight", None)
    if isinstance(width, int) and weight is not None and weight.ndim == 2:
        return width, int(weight.shape[0])
    return None


def _architecture(model: Any) -> Architecture:
    to_dict = getattr(getattr(model, "config", None), "to_dict", dict)
    return Architecture(to_dict())


def _renamings(model: Any) -> Callable[[str], str]:
    """transformers' renaming of stored names to live ones; none for other models."""
    try:
        from transformers.conversion_mapping import get_model_conversion_mapping
        from transformers.core_model_loading import rename_source_key
    except ImportError:
        return lambda name: name
    if not hasattr(model, "base_model_prefix"):
        return lambda name: name
    mapping = get_model_conversion_mapping(model)
    converters = [transform for transform in mapping if hasattr(transform, "operations")]
    renamings = [transform for transform in mapping if not hasattr(transform, "operations")]
    return lambda name: str(rename_source_key(name, renamings, converters)[0])


def _commit_warning(plan: Plan, model: Any) -> Iterator[str]:
    commit = getattr(getattr(model, "config", None), "_commit_hash", None)
    if plan.revision and commit and commit != plan.revision:
        yield f"the plan was made from commit {plan.revision}, the model is from {commit}"
