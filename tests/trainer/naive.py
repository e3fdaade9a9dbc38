"""The mixture, written out expert by expert with boolean masks: what the layer is compared with."""

from typing import NamedTuple

import torch
from torch import Tensor

from trainer.mixture import Mixture


class Answer(NamedTuple):
    output: Tensor
    loss: Tensor
    """The balance loss with its weight; 0 for one expert."""


def naive(mixture: Mixture, x: Tensor, base: Tensor, *, gate: str, tokens: Tensor | None = None):
    """x: … × in, base: … × out, tokens: … with 1 where a token counts."""
    flat = x.reshape(-1, x.shape[-1])
    counted = torch.ones(len(flat)) if tokens is None else tokens.reshape(-1)
    counted = counted.to(flat.dtype)
    gates, active, scores = route(mixture, flat, gate)
    update = torch.zeros(len(flat), base.shape[-1], dtype=flat.dtype)
    for expert in range(mixture.shape.experts):
        chosen = active[:, expert].nonzero()[:, 0]
        picked = flat[chosen]
        down, up = mixture.experts_A[expert], mixture.experts_B[expert].T
        each = (picked @ down.T) @ up.T * mixture.shape.lora_alpha / mixture.shape.rank
        update = update.index_add(0, chosen, gates[chosen, expert].unsqueeze(1) * each)
    return Answer(base + update.reshape(base.shape), loss(mixture, active, scores, counted))


def route(mixture: Mixture, flat: Tensor, gate: str) -> tuple[Tensor, Tensor, Tensor]:
    experts, k = mixture.shape.experts, mixture.shape.top_k
    if mixture.router is None:
        ones = torch.ones(len(flat), 1, dtype=flat.dtype)
        return ones, ones.bool(), ones
    probabilities = torch.softmax(flat @ mixture.router[:experts].T, dim=-1)
    if gate == "dense":
        return probabilities, torch.ones_like(probabilities, dtype=torch.bool), probabilities
    if gate == "topk":
        rank_of_each = probabilities.argsort(dim=-1, descending=True).argsort(dim=-1)
        active = rank_of_each < k
        kept = torch.where(active, probabilities, 0.0)
        return kept / kept.sum(dim=-1, keepdim=True), active, probabilities
    largest = mixture.gate.largest
    limit = largest * torch.sigmoid(flat @ mixture.router[experts] + mixture.threshold_bias)
    scores = probabilities - limit.unsqueeze(1)
    active = scores > 0
    excess = torch.where(active, scores, 0.0)
    gates = torch.stack([row / row.sum() if row.any() else row for row in excess])
    return gates, active, scores if mixture.balance.name == "adamole" else probabilities


def loss(mixture: Mixture, active: Tensor, scores: Tensor, counted: Tensor) -> Tensor:
    experts, name = mixture.shape.experts, mixture.balance.name
    if experts == 1 or name == "none":
        return torch.zeros((), dtype=scores.dtype)
    total = torch.zeros((), dtype=scores.dtype)
    number = counted.sum()
    picks = [(active[:, expert] * counted).sum() for expert in range(experts)]
    for expert in range(experts):
        mean = (scores[:, expert] * counted).sum() / number
        share = picks[expert] / (number if name == "adamole" else sum(picks))
        total = total + experts * share * mean
    return total * mixture.balance.weight
