"""Where the experts' A begin.

standard    Kaiming-uniform with a = √5, as LoRA and MoLA do it
singular    the base weight's leading right singular vectors, the next r of them for each
            expert, at the length that standard rows have on average. As in PiSSA
            (arXiv 2404.02948) experts begin in the weight's own main directions; unlike there
            B begins as zeros and the base weight stays, so it may be quantised and nothing but
            the adapter has to be saved
"""

from typing import Literal

import torch
from torch import Tensor, nn

from trainer.errors import InvalidMixture
from trainer.mixture import Mixture

InitName = Literal["standard", "singular"]

OVERSAMPLED = 8
PASSES = 4


@torch.no_grad()
def start_singular(mixture: Mixture, base_layer: nn.Module) -> None:
    """Set A from the base weight, which is read by calling the layer, whatever holds it.

    Raises InvalidMixture where the experts have more ranks than the weight.
    """
    experts, rank = mixture.shape.experts, mixture.shape.rank
    weight = weight_of(base_layer, mixture.in_features)
    if experts * rank > min(weight.shape):
        raise InvalidMixture(
            f"{experts} experts of rank {rank} need {experts * rank} singular vectors, and a "
            f"weight of {tuple(weight.shape)} has {min(weight.shape)}; use init='standard'"
        )
    wanted = min(experts * rank + OVERSAMPLED, *weight.shape)
    _, _, vectors = torch.svd_lowrank(weight, q=wanted, niter=PASSES)
    rows = vectors[:, : experts * rank].T * 3**-0.5
    mixture.experts_A.copy_(rows.reshape(mixture.experts_A.shape))


@torch.no_grad()
def weight_of(base_layer: nn.Module, in_features: int) -> Tensor:
    """The weight (out × in, float32) that a linear layer applies, from what it makes of 1."""
    own = next(base_layer.parameters())
    dtype = own.dtype if own.dtype.is_floating_point else torch.float32
    eye = torch.eye(in_features, device=own.device, dtype=dtype)
    answers: Tensor = base_layer(torch.cat([eye, torch.zeros_like(eye[:1])]))
    return (answers[:-1] - answers[-1]).float().T
