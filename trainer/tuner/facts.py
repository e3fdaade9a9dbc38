"""What can be asked of, and told to, a model that carries mixtures."""

from collections.abc import Iterator
from contextlib import contextmanager
from os import PathLike
from pathlib import Path
from typing import Any

import torch
from peft import PeftModel
from safetensors import SafetensorError
from torch import Tensor, nn

from trainer.errors import BadAdapter
from trainer.mixture import Mixture
from trainer.statistics import ModuleStatistics
from trainer.step import Step
from trainer.tuner.layer import MixtureLayer


def mixtures(model: nn.Module, adapter: str = "default") -> dict[str, Mixture]:
    """The mixtures of an adapter by the full live name of their module."""
    found = {}
    for name, module in model.named_modules():
        if isinstance(module, MixtureLayer) and adapter in module.tailora_mixture:
            mixture = module.tailora_mixture[adapter]
            assert isinstance(mixture, Mixture)
            found[name.removeprefix("base_model.model.")] = mixture
    return found


def load_adapter(model: nn.Module, folder: str | PathLike[str], **words: Any) -> PeftModel:
    """`PeftModel.from_pretrained` with the method known to PEFT, which finds no other's by itself.

    `folder` may be a Hub id. Raises BadAdapter for a damaged or changed adapter (one in a folder
    must be of safetensors), ModelMismatch for one of another model.
    """
    place = Path(folder)
    for file in ("adapter_config.json", "adapter_model.safetensors"):
        if place.is_dir() and not (place / file).is_file():
            raise BadAdapter(f"{place} has no {file}; pass the folder that save_pretrained wrote")
    try:
        return PeftModel.from_pretrained(model, folder, **words)
    except SafetensorError as error:
        raise BadAdapter(
            f"adapter_model.safetensors of {folder} is damaged: {error}; fetch it anew"
        ) from error


def step_of(model: nn.Module) -> Step:
    """What a training loop tells about its step: `step_of(model).begin(micro_batches=4)`.

    Raises ValueError for a model without mixtures.
    """
    for module in model.modules():
        if isinstance(module, Mixture):
            return module.step
    raise ValueError("the model carries no mixture; make one with get_peft_model")


def statistics(model: nn.Module, adapter: str = "default") -> dict[str, ModuleStatistics]:
    """What each router did since the last reset, by module; those with one expert have none."""
    return {
        name: mixture.counter.read()
        for name, mixture in mixtures(model, adapter).items()
        if mixture.shape.routed
    }


def reset_statistics(model: nn.Module, adapter: str = "default") -> None:
    """Count anew from now on."""
    for mixture in mixtures(model, adapter).values():
        mixture.counter.reset()


@contextmanager
def masks_on(model: nn.Module) -> Iterator[None]:
    """Draw masks although the model is in evaluation: LoRA Dropout at test time."""
    step = step_of(model)
    step.masked_always = True
    try:
        yield
    finally:
        step.masked_always = False


@torch.no_grad()
def ensemble(model: nn.Module, draws: int, **inputs: Tensor) -> Tensor:
    """Mean logits of `draws` passes with a mask of their own each (arXiv 2404.09610, section 4)."""
    with masks_on(model):
        logits = [model(**inputs).logits for _ in range(draws)]
    return torch.stack(logits).mean(dim=0)
