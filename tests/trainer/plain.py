"""A step by plain autograd over the loop over experts: what the layers are compared with."""

import copy
from collections import defaultdict
from collections.abc import Sequence
from functools import partial

import torch
from peft import PeftModel
from torch import Tensor

from tests.trainer.naive import naive, route
from tests.trainer.small import COEFFICIENT, Batch
from trainer.tuner.facts import mixtures
from trainer.tuner.layer import MixtureLayer


class Plain:
    """A copy of a model in which every mixture is the loop, and its loss a term of the total."""

    def __init__(self, model: PeftModel, coefficient: float = COEFFICIENT) -> None:
        self.model = copy.deepcopy(model)
        self.coefficient = coefficient
        self.config = self.model.peft_config["default"]
        self.picks: defaultdict[str, Tensor | float] = defaultdict(float)
        """Of each expert, by module, on tokens that count."""

        self._losses: list[Tensor] = []
        self._layers: defaultdict[str, list[tuple[Tensor, Tensor]]] = defaultdict(list)
        for name, mixture in mixtures(self.model).items():
            layer = self.model.get_submodule(f"base_model.model.{name}")
            assert isinstance(layer, MixtureLayer)
            layer.forward = partial(self._forward, name, layer, mixture)

    def gradients(self, batches: Sequence[Batch]) -> dict[str, Tensor]:
        """Of the mean over micro-batches of cross entropy and balance loss, by parameter."""
        total = sum(self._loss(batch) for batch in batches) / len(batches)
        wanted = {n: p for n, p in self.model.named_parameters() if p.requires_grad}
        return dict(zip(wanted, torch.autograd.grad(total, list(wanted.values())), strict=True))

    def _loss(self, batch: Batch) -> Tensor:
        self._tokens = batch["attention_mask"]
        self._losses.clear()
        self._layers.clear()
        return self.model(**batch).loss + self.coefficient * self._balance()

    def _forward(self, name, layer, mixture, x):
        tokens, gate = self._tokens, self.config.gate
        answer = naive(mixture, x, layer.base_layer(x), gate=gate, tokens=tokens)
        if mixture.shape.experts > 1:
            self._losses.append(answer.loss / mixture.balance.weight)
            counted = x[tokens.bool()]
            _, active, probabilities = route(mixture, counted, gate)
            self.picks[name] += active.sum(0)
            self._layers[name.split(".")[2]].append((active, probabilities))
        return answer.output

    def _balance(self) -> Tensor:
        if self.config.balance == "mola":
            return sum(_pooled(modules) for modules in self._layers.values())
        return sum(self._losses) / len(self._losses)


def _pooled(modules: Sequence[tuple[Tensor, Tensor]]) -> Tensor:
    """E · Σ_e f_e · P_e over the tokens of all modules of a layer."""
    active = torch.cat([active for active, _ in modules]).float()
    probabilities = torch.cat([probabilities for _, probabilities in modules])
    shares = active.sum(0) / active.sum()
    return active.shape[1] * (shares * probabilities.mean(0)).sum()
