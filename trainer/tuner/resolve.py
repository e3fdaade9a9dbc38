"""A plan, or a loaded config, brought together with a live model, before anything is replaced."""

from typing import Any

from torch import nn

from allocator.errors import PlanMismatch
from allocator.live import linear_shape, match_plan
from analyzer.naming import split_block_name
from trainer.errors import InvalidMixture, ModelMismatch
from trainer.tuner.config import MixtureConfig


def resolve(config: MixtureConfig, model: nn.Module) -> None:
    """Fill in the modules of a config that came from a plan; check those of one that was loaded.

    Raises ModelMismatch where model and plan (or adapter) differ, and InvalidMixture where the
    balance loss cannot be that of the plan.
    """
    if config.modules:
        _check(config, model)
    elif config.plan is None:
        raise InvalidMixture("a MixtureConfig needs a plan: use MixtureConfig.from_plan(plan)")
    else:
        config.modules = _planned(config, model)
    config.target_modules = set(config.modules)
    if config.balance == "mola":
        _check_layers(config)


def _planned(config: MixtureConfig, model: nn.Module) -> dict[str, dict[str, Any]]:
    assert config.plan is not None
    try:
        match = match_plan(config.plan, model)
    except PlanMismatch as error:
        raise ModelMismatch(str(error)) from error
    return {
        name: {
            "experts": module.experts,
            "top_k": module.top_k,
            "rank": module.rank,
            "lora_alpha": module.lora_alpha,
            "shape": list(module.shape or ()),
        }
        for name, module in match.modules.items()
    }


def _check(config: MixtureConfig, model: nn.Module) -> None:
    live = dict(model.named_modules())
    for name, entry in config.modules.items():
        if name not in live:
            raise ModelMismatch(
                f"the adapter has experts at {name}, which this model lacks; load it on "
                f"{config.base_model_name_or_path or config.plan_model or 'the model it is for'}, "
                "with the same head"
            )
        shape = linear_shape(live[name])
        if shape is None:
            raise ModelMismatch(
                f"{name} is a {type(live[name]).__name__}, not a linear layer: experts of a "
                "mixture-of-experts base that are fused into one tensor cannot be adapted; plan "
                "for its attention"
            )
        if entry.get("shape") and tuple(entry["shape"]) != shape:
            raise ModelMismatch(
                f"{name} is {shape} in this model, and the adapter is for {tuple(entry['shape'])}; "
                "load it on the model that it was trained on"
            )


def _check_layers(config: MixtureConfig) -> None:
    counts: dict[str, int] = {}
    for name, entry in config.modules.items():
        layer = layer_of(name)
        if counts.setdefault(layer, entry["experts"]) != entry["experts"]:
            raise InvalidMixture(
                f"the mola balance loss pools the modules of a layer, and those of {layer} have "
                "different numbers of experts; use balance='sound'"
            )


def layer_of(name: str) -> str:
    """The block that a module is in; its own name where it is in none."""
    block = split_block_name(name)
    return name if block is None else f"{block.prefix}.{block.layer}"
