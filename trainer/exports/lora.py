"""A plain LoRA that stands for mixtures: every expert by its mean gate.

A module with E experts of rank r becomes one LoRA of rank E · r at the same scale: A is all
experts' A on top of each other, B all of theirs side by side, each times its mean gate. With one
expert that is the same function; with several it is the mixture with its gates held still.
"""

import re
import warnings
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from peft import LoraConfig, PeftModel, get_peft_model_state_dict
from peft.tuners.lora import LoraLayer
from safetensors.torch import save_file
from torch import Tensor

from allocator.forms.live import check_lora_config
from allocator.forms.peft import config_of
from allocator.forms.table import Mixture
from analyzer.text import listed
from trainer.errors import NotExportable
from trainer.exports.places import Place, first_line
from trainer.tuner import MixtureConfig
from trainer.tuner.facts import mixtures, statistics
from trainer.tuner.layer import MixtureLayer

Gates = Mapping[str, Sequence[float]]


def mean_gates(model: PeftModel) -> Gates:
    """The mean gate of each expert by module, over the tokens that were seen; 1 for a lone expert.

    Raises NotExportable where a router saw no token.
    """
    found: dict[str, Sequence[float]] = dict.fromkeys(mixtures(model), (1.0,))
    for name, counted in statistics(model).items():
        if not counted.tokens:
            raise NotExportable(
                f"{name} saw no token of the data, so its mean gates are not known; the export is "
                "for modules that texts go through"
            )
        found[name] = counted.mean_gate
    return found


@torch.no_grad()
def lora_weights(model: PeftModel, gates: Gates) -> dict[str, Tensor]:
    """The tensors of adapter_model.safetensors: A (E·r × in) and B (out × E·r) of each module.

    Other modules that the adapter holds whole come along.
    """
    found = {
        name: tensor.contiguous()
        for name, tensor in get_peft_model_state_dict(model, save_embedding_layers=False).items()
        if ".tailora_mixture." not in name
    }
    for name, mixture in mixtures(model).items():
        up = mixture.experts_B
        share = torch.tensor(gates[name], dtype=up.dtype, device=up.device)
        found[f"base_model.model.{name}.lora_A.weight"] = mixture.experts_A.flatten(0, 1)
        weighted = (up * share[:, None, None]).flatten(0, 1)
        found[f"base_model.model.{name}.lora_B.weight"] = weighted.T.contiguous()
    return found


def lora_config(config: MixtureConfig, model: PeftModel, base: Place) -> LoraConfig:
    """Its config, with rank and alpha of every module by its full name."""
    made = {
        name: Mixture(entry["experts"], entry["top_k"], entry["rank"])
        for name, entry in config.modules.items()
    }
    smallest = min(config.modules.values(), key=lambda entry: entry["rank"])
    words = config_of(made, smallest["lora_alpha"])
    words["alpha_pattern"] |= {
        re.escape(name): entry["lora_alpha"] * entry["experts"]
        for name, entry in config.modules.items()
    }
    del words["peft_type"]
    check_lora_config(words, model.get_base_model())
    layers = [layer for layer in model.modules() if isinstance(layer, MixtureLayer)]
    return LoraConfig(
        **words,
        task_type=config.task_type or "CAUSAL_LM",
        modules_to_save=config.modules_to_save,
        fan_in_fan_out=all(hasattr(layer.get_base_layer(), "nf") for layer in layers),
        base_model_name_or_path=base.name,
        revision=base.revision,
        inference_mode=True,
    )


def largest_rank(config: MixtureConfig) -> int:
    """Of any module, as a LoRA: what a server has to make room for."""
    return max(int(entry["experts"] * entry["rank"]) for entry in config.modules.values())


def warnings_of(config: MixtureConfig) -> tuple[str, ...]:
    """What vLLM, which reads neither alpha_pattern nor modules_to_save, would do otherwise."""
    found = []
    if len({entry["lora_alpha"] / entry["rank"] for entry in config.modules.values()}) > 1:
        found.append(
            "modules differ in scale (lora_alpha / rank of an expert): PEFT reads each, vLLM takes "
            "one for all and would be wrong"
        )
    if config.modules_to_save:
        found.append("vLLM takes no adapter with modules_to_save")
    return tuple(found)


def save_lora(weights: dict[str, Tensor], config: LoraConfig, folder: Path) -> None:
    """Write adapter_config.json and adapter_model.safetensors."""
    config.save_pretrained(str(folder))
    here: dict[str, Any] = {name: tensor.cpu() for name, tensor in weights.items()}
    save_file(here, folder / "adapter_model.safetensors", metadata={"format": "pt"})


def load_lora(model: Any, folder: Path, config: MixtureConfig) -> PeftModel:
    """The model with a saved LoRA on it, as anybody loads it.

    Raises NotExportable where PEFT puts it elsewhere than on the modules of the mixtures: of bases
    with fused experts it takes names such as gate_proj for theirs.
    """
    try:
        with warnings.catch_warnings(action="ignore"):  # of what is checked below
            found = PeftModel.from_pretrained(model, folder)
    except ValueError as error:
        raise NotExportable(
            f"PEFT cannot put this LoRA on the model: {first_line(error)}; plan for other modules"
        ) from error
    adapted = {
        name.removeprefix("base_model.model.")
        for name, module in found.named_modules()
        if isinstance(module, LoraLayer)
    }
    lost = sorted(set(config.modules) - adapted)
    if lost:
        raise NotExportable(
            f"PEFT puts a LoRA for {listed(lost, 2)} elsewhere in a {type(model).__name__}: it "
            "takes these names for fused experts; plan for other modules (--modules), or with one "
            "expert each, which `tailora merge` can add to the weights"
        )
    return found
