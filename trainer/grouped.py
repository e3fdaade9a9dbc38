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
from trainer.routed import Rule, of_scores, slopes_of, sums_of
from trainer.shape import MixtureShape

GroupedName = Literal["dense", "grouped", "auto"]

CROSSOVER = 0.5
"""`auto` takes the grouped form from E·r / in on, where at most an eighth of experts is picked."""

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
    factor: Tensor,
    rule: Rule,
) -> tuple[Tensor, Tensor]:
    """Arguments and result are those of `routed.routed`; topk gates only."""
    logits = functional.linear(x, router)
    logits = logits.to(torch.promote_types(logits.dtype, torch.float32))
    gates, active, sums = _Gates.apply(logits, tokens, factor, rule)
    experts = router.shape[0]
    k = rule.gate.k  # type: ignore[attr-defined]
    picks = active.topk(k, dim=-1, sorted=False).indices.flatten()
    order = picks.argsort(stable=True)
    rows = order // k
    ends = torch.bincount(picks, minlength=experts).cumsum(0).to(torch.int32)
    taken = (x if kept is None else kept)[rows]
    share = gates[rows, picks[order]].unsqueeze(-1) * rule.scale
    each = down.unflatten(0, (experts, -1)), up.unflatten(0, (experts, -1))
    assert _grouped_mm is not None
    hidden = _grouped_mm(taken, each[0].mT, offs=ends) * share.to(x.dtype)
    update = _grouped_mm(hidden, each[1], offs=ends)
    base = x.new_zeros(x.shape[0], up.shape[-1]) if output is None else output
    return base.index_add(0, rows, update), sums


class _Gates(torch.autograd.Function):
    """Gates and what is active (T × E), with the balance loss's gradient; and the sums."""

    @staticmethod
    def forward(
        ctx: Any, logits: Tensor, tokens: Tensor | None, factor: Tensor, rule: Rule
    ) -> tuple[Tensor, Tensor, Tensor]:
        routing = rule.gate.route(logits)
        sums, count = sums_of(routing, tokens)
        slopes = slopes_of(rule, sums[0], count)
        ctx.rule, ctx.count = rule, count
        ctx.save_for_backward(tokens, factor, slopes, *routing)
        ctx.mark_non_differentiable(routing.active, sums)
        return routing.gates, routing.active, sums

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, of_gates: Tensor, *_: Tensor) -> tuple[Tensor | None, ...]:
        tokens, factor, slopes, *fields = ctx.saved_tensors
        scores = of_scores(ctx.rule, slopes, ctx.count, tokens, factor)
        found = ctx.rule.gate.gradient(
            Routing(*fields), of_gates, scores, shifted=ctx.rule.balance.shifted
        )
        return found, None, None, None
