"""Decomposed Prompt Tuning (arXiv 2310.10094): a soft prompt trained as a product of low rank.

The prompt (tokens × width) is that of PEFT's prompt tuning, so what is saved is an adapter that
PEFT alone can load. While it is trained its embedding is the product of two factors, which only a
run's checkpoints hold.
"""

from inspect import signature
from pathlib import Path
from typing import Any

import torch
from peft import PeftModel, PromptTuningConfig, get_peft_model
from safetensors.torch import load_file, save_file
from torch import Tensor, nn
from torch.nn.utils import parametrize

from analyzer.text import listed
from trainer.errors import ModelMismatch, TrainingStopped
from trainer.finetune.probe import sees_padding
from trainer.recipe import Prompt, Recipe

_BOUND = 0.5
"""Factors begin as uniform in ± this."""

_FILE = "trained.safetensors"


class Decomposed(nn.Module):
    """A weight (tokens × width) as the product of tokens × rank and rank × width."""

    def __init__(self, rank: int) -> None:
        """The factors are the parametrization's originals."""
        super().__init__()
        self.rank = rank

    def forward(self, left: Tensor, right: Tensor) -> Tensor:
        """The weight."""
        return left @ right

    def right_inverse(self, weight: Tensor) -> tuple[Tensor, Tensor]:
        """New factors, whatever the weight was: PyTorch asks for them where it registers this."""
        tokens, width = weight.shape
        left, right = weight.new_empty(tokens, self.rank), weight.new_empty(self.rank, width)
        return nn.init.uniform_(left, -_BOUND, _BOUND), nn.init.uniform_(right, -_BOUND, _BOUND)


def add_prompt(model: Any, recipe: Recipe, words: dict[str, Any]) -> PeftModel:
    """The model with a decomposed prompt; `words` are those of every PEFT config.

    Raises ModelMismatch where the model cannot take one.
    """
    prompt = recipe.prompt
    _check_places(model, prompt, recipe.data.length)
    if "inputs_embeds" not in signature(model.forward).parameters:
        raise ModelMismatch(
            f"{type(model).__name__} takes no inputs_embeds, so nothing can stand before its "
            "tokens; train a mixture, or --preset lora"
        )
    config = PromptTuningConfig(num_virtual_tokens=prompt.tokens, **words)
    adapted: PeftModel = get_peft_model(model, config)
    embedding = adapted.get_submodule("prompt_encoder.default.embedding")
    parametrize.register_parametrization(embedding, "weight", Decomposed(prompt.rank))
    return adapted


def check_classes(model: PeftModel) -> None:
    """Raise ModelMismatch where the class of a sample would be told by its padding."""
    if sees_padding(model):
        raise ModelMismatch(
            f"{type(model.get_base_model()).__name__} tells the class at the last place, which is "
            "padding in all but the longest sample once a prompt stands before the tokens; take a "
            "base that is an encoder, or --preset lora"
        )


def _check_places(model: Any, prompt: Prompt, length: int) -> None:
    places = getattr(model.config.get_text_config(), "max_position_embeddings", None)
    if places is not None and prompt.tokens + length > places:
        raise ModelMismatch(
            f"{prompt.tokens} virtual tokens and samples of {length} are more than the {places} "
            "places of the model; make prompt.tokens or data.length smaller"
        )


def save_trained(model: nn.Module, folder: Path) -> None:
    """Write every trained parameter, the factors among them, into a checkpoint's folder."""
    found = {name: each.detach().contiguous() for name, each in _trained(model).items()}
    save_file(found, folder / _FILE)


def load_trained(model: nn.Module, folder: Path) -> None:
    """Read them back, bit for bit. Raises TrainingStopped where the file is of another model."""
    saved, wanted = load_file(folder / _FILE), _trained(model)
    other = sorted(saved.keys() ^ wanted.keys())
    if other:
        raise TrainingStopped(
            f"{folder.name} is of another model: {listed(other, 3)} is not in both; remove it"
        )
    with torch.no_grad():
        for name, parameter in wanted.items():
            parameter.copy_(saved[name])


def _trained(model: nn.Module) -> dict[str, nn.Parameter]:
    return {name: each for name, each in model.named_parameters() if each.requires_grad}
