"""A mixture of LoRA experts beside a frozen linear layer. Plain PyTorch; PEFT is not needed.

    y = base(x) + Σ_e g_e(x) · s · B_e A_e x        g from a router of the module's own

`MixtureLinear` wraps a base layer, which is only ever called: it may be quantised, or a Conv1D.
"""

from functools import partial

import torch
from torch import Tensor, nn
from torch.nn import functional

from trainer.balance import Balance
from trainer.gates import GateName, make_gate
from trainer.grouped import GroupedName, grouped, pays
from trainer.masks import Mask
from trainer.routed import Rule, routed
from trainer.shape import MixtureShape
from trainer.statistics import Counter
from trainer.step import Side, Step

__all__ = ["Mixture", "MixtureLinear"]


class Mixture(nn.Module):
    """The trainable part: E experts of rank r, and where E > 1 a router.

    Parameters: `experts_A` (E × r × in); `experts_B` (E × r × out: each B transposed, so that all
    of them are one matrix); `router` (E × in, under a threshold gate one more row, the threshold's)
    and `threshold_bias` (1). A and router begin as Kaiming-uniform with a = √5, B as zeros, so the
    update begins at nothing.
    """

    def __init__(
        self,
        in_features: int,
        out_features: int,
        shape: MixtureShape,
        *,
        gate: GateName = "topk",
        threshold_max: float | None = None,
        balance: Balance | None = None,
        mask: Mask | None = None,
        form: GroupedName = "dense",
        step: Step | None = None,
        side: Side = "main",
        device: torch.device | None = None,
        dtype: torch.dtype | None = None,
    ) -> None:
        """Raise InvalidMixture where the gate does not go with the form."""
        super().__init__()
        self.in_features, self.out_features, self.shape = in_features, out_features, shape
        self.gate = make_gate(gate, shape.experts, shape.top_k, threshold_max)
        self.balance = balance or Balance("none", 0.0)
        self.mask, self.step, self.side = mask or Mask(), step or Step(), side
        self.grouped = pays(form, gate, shape, in_features)
        self.counter = Counter(shape.experts, self.gate.picks)
        empty = partial(torch.empty, device=device, dtype=dtype)
        experts, rank = shape.experts, shape.rank
        self.experts_A = nn.Parameter(empty(experts, rank, in_features))
        self.experts_B = nn.Parameter(empty(experts, rank, out_features))
        self.router: nn.Parameter | None = None
        self.threshold_bias: nn.Parameter | None = None
        if shape.routed:
            rows = self.gate.width(experts)
            self.router = nn.Parameter(empty(rows, in_features))
            if rows > experts:
                self.threshold_bias = nn.Parameter(empty(1))
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Draw A, router and threshold anew; B becomes zeros."""
        bound = self.in_features**-0.5
        for parameter in (self.experts_A, self.router, self.threshold_bias):
            if parameter is not None:
                nn.init.uniform_(parameter, -bound, bound)
        nn.init.zeros_(self.experts_B)

    def forward(self, x: Tensor, output: Tensor) -> Tensor:
        """`output` (… × out) of the base layer for `x` (… × in), with the update added.

        It is computed in the parameters' dtype, or that of autocast, and comes in the output's.
        """
        dtype = self._dtype(x)
        x, down, up = x.to(dtype), self.experts_A.to(dtype), self.experts_B.to(dtype)
        kept = None
        if self.training or self.step.masked_always:
            if self.mask.of_weights:
                down, up = self.mask.drop_features(down), self.mask.drop_features(up)
            elif self.mask.of_inputs:
                kept = self.mask.drop_inputs(x)
        same = output if output.dtype == dtype else None
        if self.router is None:
            found = self._one(x if kept is None else kept, same, down[0], up[0])
        else:
            found = self._several(x, kept, same, down, up, self.router.to(dtype))
        return found if same is not None else (output + found).to(output.dtype)

    def extra_repr(self) -> str:
        """What is printed of it."""
        shape = self.shape
        sizes = f"{self.in_features} -> {self.out_features}, experts={shape.experts}"
        return f"{sizes}, top_k={shape.top_k}, rank={shape.rank}, lora_alpha={shape.lora_alpha}"

    def _one(self, x: Tensor, output: Tensor | None, down: Tensor, up: Tensor) -> Tensor:
        hidden = functional.linear(x, down)
        if output is None:
            return (hidden * self.shape.scale) @ up
        base = output.reshape(-1, output.shape[-1])
        found = torch.addmm(base, hidden.reshape(len(base), -1), up, alpha=self.shape.scale)
        return found.view(output.shape)

    def _several(
        self,
        x: Tensor,
        kept: Tensor | None,
        output: Tensor | None,
        down: Tensor,
        up: Tensor,
        router: Tensor,
    ) -> Tensor:
        step, before = self.step, _is_recomputed()
        count = x.numel() // self.in_features
        tokens = step.tokens(self.side, x)
        pooled = self.balance.name == "mola"
        pool = step.current.pools[self.balance.layer] if pooled else None
        rule = Rule(self.gate, self.balance, self.shape.scale, step.factor, pool, before)
        bias: Tensor | None = self.threshold_bias
        if bias is not None:
            bias = bias.to(torch.promote_types(bias.dtype, torch.float32))
        update = grouped if self.grouped else routed
        found, sums = update(x, kept, output, down, up, router, bias, tokens, rule)
        if not before:
            self.counter.add(sums, float(count) if tokens is None else tokens.sum())
        return found

    def _dtype(self, x: Tensor) -> torch.dtype:
        if torch.is_autocast_enabled(x.device.type):
            return torch.get_autocast_dtype(x.device.type)
        return self.experts_A.dtype


class MixtureLinear(nn.Module):
    """A frozen linear layer with a mixture beside it."""

    def __init__(self, base_layer: nn.Module, mixture: Mixture) -> None:
        """The base layer's parameters are frozen; nothing else of it changes."""
        super().__init__()
        self.base_layer = base_layer.requires_grad_(False)
        self.mixture = mixture

    def forward(self, x: Tensor) -> Tensor:
        """The adapted output for `x` (… × in)."""
        found: Tensor = self.mixture(x, self.base_layer(x))
        return found


def _is_recomputed() -> bool:
    """Whether this runs inside a backward pass: activation checkpointing at work."""
    if torch.compiler.is_compiling():
        return False
    return bool(torch._C._current_graph_task_id() != -1)
