"""Dropout for mixtures.

dropout        element-wise, on what the experts see (never on what the router sees); one mask
               for all experts of a module
lora_dropout   LoRA Dropout (arXiv 2404.09610): one Bernoulli mask on the columns of A and one
               on the rows of B for the whole batch, folded into the weights; the same for all
               experts of a module. Not divided by 1 − p unless `rescale` is set, as published
"""

from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor
from torch.nn import functional

from trainer.errors import InvalidMixture

MaskName = Literal["none", "dropout", "lora_dropout"]


@dataclass(frozen=True, slots=True)
class Mask:
    """What is dropped, and with which probability."""

    name: MaskName = "none"
    rate: float = 0.0
    rescale: bool = False

    def __post_init__(self) -> None:
        """Raise InvalidMixture for a rate outside 0 ≤ p < 1."""
        if not 0 <= self.rate < 1:
            raise InvalidMixture(f"the mask's rate is {self.rate!r}; give 0 ≤ rate < 1")

    @property
    def of_inputs(self) -> bool:
        """Whether elements of the input are dropped."""
        return self.name == "dropout" and self.rate > 0

    @property
    def of_weights(self) -> bool:
        """Whether columns of A and rows of B are dropped."""
        return self.name == "lora_dropout" and self.rate > 0

    def drop_inputs(self, x: Tensor) -> Tensor:
        """Element-wise, divided by 1 − p."""
        return functional.dropout(x, self.rate, training=True)

    def drop_features(self, weight: Tensor) -> Tensor:
        """`weight` (… × features) with the same features dropped from every row."""
        keep = 1 - self.rate
        drawn = torch.rand(weight.shape[-1], device=weight.device) < keep
        mask = drawn.to(weight.dtype)
        return weight * (mask / keep if self.rescale else mask)
