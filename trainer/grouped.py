"""The same update with every expert run on its own tokens only, for many experts and few picks.

Picks are sorted by expert and go through one grouped product each for A and B. It saves
arithmetic and costs copies of the picked tokens, so it pays where E·r is a sizeable part of the
input's width; see `docs/performance.md`.
"""

from typing import Any, Literal

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable
from torch.nn import functional

from trainer.errors import InvalidMixture
from trainer.gates import GateName, Routing
from trainer.routed import Rule, balanced, of_scores, sums_of
from trainer.shape import MixtureShape

GroupedName = Literal["dense", "grouped", "auto"]

CROSSOVER = 1.0
"""`auto` takes the grouped form where E·r is this part of the input's width, or more, and at most
an eighth of the experts is picked: there it is faster in float32 (from 0.5 on) and in bfloat16.
"""

_grouped_mm = getattr(functional, "grouped_mm", None)


def pays(form: GroupedName, gate: GateName, shape: MixtureShape, in_features: int) -> bool:
    """Whether a mixture is computed in the grouped form.

    Raises InvalidMixture where that is asked for and cannot be.
    """
    possible = gate == "topk" and shape.rank % 8 == 0 and _grouped_mm is not None and shape.routed
    if form == "auto":
        few = shape.top_k * 8 <= shape.experts
        return possible and few and shape.experts * shape.rank >= CROSSOVER * in_features
    if form == "grouped" and shape.routed and not possible:
        raise InvalidMixture(
            "the grouped form needs a topk gate, a rank that is a multiple of 8 and torch 2.10; "
            "use form='dense'"
        )
    return form == "grouped" and shape.routed


def grouped(
    x: Tensor,
    kept: Tensor | None,
    output: Tensor | None,
    down: Tensor,
    up: Tensor,
    router: Tensor,
    bias: Tensor | None,
    tokens: Tensor | None,
    rule: Rule,
) -> tuple[Tensor, Tensor]:
    """Arguments and result are those of `routed.routed`; topk gates only."""
    k = rule.gate.picks
    assert _grouped_mm is not None
    assert k is not None
    logits = functional.linear(x, router).flatten(0, -2)
    logits = logits.to(torch.promote_types(logits.dtype, torch.float32))
    gates, active, sums = _Gates.apply(logits, tokens, rule)
    picks = active.topk(k, dim=-1, sorted=False).indices.flatten()
    order = picks.argsort(stable=True)
    rows = order // k
    ends = torch.bincount(picks, minlength=router.shape[0]).cumsum(0).to(torch.int32)
    taken = (x if kept is None else kept).reshape(-1, x.shape[-1])[rows]
    share = gates[rows, picks[order]].unsqueeze(-1) * rule.scale
    hidden = _grouped_mm(taken, down.mT, offs=ends) * share.to(x.dtype)
    update = _grouped_mm(hidden, up, offs=ends)
    shape = (*x.shape[:-1], up.shape[-1])
    base = x.new_zeros(shape) if output is None else output
    return base.reshape(-1, shape[-1]).index_add(0, rows, update).view(shape), sums


class _Gates(torch.autograd.Function):
    """Gates and what is active (T × E), with the balance loss's gradient; and the sums."""

    @staticmethod
    def forward(
        ctx: Any, logits: Tensor, tokens: Tensor | None, rule: Rule
    ) -> tuple[Tensor, Tensor, Tensor]:
        routing = rule.gate.route(logits)
        sums, count = sums_of(routing, tokens)
        ctx.rule = rule
        ctx.save_for_backward(tokens, balanced(rule, sums[0], count), *routing)
        ctx.mark_non_differentiable(routing.active, sums)
        return routing.gates, routing.active, sums

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, of_gates: Tensor, *_: Tensor) -> tuple[Tensor | None, ...]:
        tokens, of_token, *fields = ctx.saved_tensors
        scores = of_scores(ctx.rule, of_token, tokens)
        found = ctx.rule.gate.gradient(
            Routing(*fields), of_gates, scores, shifted=ctx.rule.balance.shifted
        )
        return found, None, None
