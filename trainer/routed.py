"""The update of a linear layer by a mixture, with its gradients, as one node of autograd.

    H = x · [A_1; …; A_E]ᵀ        one product, T × E·r; the router's logits come with it
    y = output + (s · g ⊙ H) · [B_1, …, B_E]ᵀ

"Gate in rank space": exact for every gate, and nothing of size T × E × out is ever made. T counts
tokens, E experts, r is the rank, s the scale.
"""

from typing import Any, NamedTuple

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from trainer.balance import Balance, Pool
from trainer.gates import Gate, Routing


class Rule(NamedTuple):
    """How a mixture decides, and what its balance costs."""

    gate: Gate
    balance: Balance
    scale: float
    factor: float
    """Of the step, for the balance loss."""

    pool: Pool | None
    """Of the layer in this pass, under the mola loss."""

    counted_before: bool
    """Whether this is a recomputation of a pass that has been counted."""


class Routed(torch.autograd.Function):
    """Call `routed`, which names the arguments."""

    @staticmethod
    def forward(
        ctx: Any,
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
        """See `routed`."""
        experts, rank, width = down.shape
        ranks = experts * rank
        flat, up = x.reshape(-1, width), up.view(ranks, -1)
        if kept is None:
            both = flat @ torch.cat([down.view(ranks, width), router]).mT
            hidden, logits = both.split_with_sizes([ranks, router.shape[0]], dim=-1)
        else:
            kept = kept.reshape(-1, width)
            hidden, logits = kept @ down.view(ranks, width).mT, flat @ router.mT
        routing = rule.gate.route(_logits(logits, bias))
        sums, count = sums_of(routing, tokens)
        of_token = balanced(rule, sums[0], count)
        factors = routing.gates.to(x.dtype).unsqueeze(-1)
        hidden = hidden.view(-1, experts, rank)
        weighted = (hidden * factors).view(-1, ranks)
        ctx.save_for_backward(
            flat, kept, down, up, router, tokens, hidden, weighted, factors, of_token, *routing
        )
        ctx.rule, ctx.shape = rule, x.shape
        ctx.mark_non_differentiable(sums)
        if output is None:
            found = torch.addmm(up[:1], weighted, up, beta=0, alpha=rule.scale)
            return found.view(*x.shape[:-1], -1), sums
        base = output.reshape(-1, output.shape[-1])
        return torch.addmm(base, weighted, up, alpha=rule.scale).view(output.shape), sums

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, of_output: Tensor, _: Tensor) -> tuple[Tensor | None, ...]:
        """Gradients of the arguments of `forward`, the balance loss's included."""
        (
            flat, kept, down, up, router, tokens, hidden, weighted, factors, of_token, *fields,
        ) = ctx.saved_tensors  # fmt: skip
        rule: Rule = ctx.rule
        routing = Routing(*fields)
        need_x, need_kept, need_output, need_down, need_up, need_router, need_bias = (
            ctx.needs_input_grad[:7]
        )
        width, ranks = flat.shape[-1], up.shape[0]
        gradient = of_output.reshape(-1, of_output.shape[-1])
        of_weighted = (gradient @ up.mT).mul_(rule.scale).view(hidden.shape)
        of_logits = rule.gate.gradient(
            routing,
            (hidden * of_weighted).sum(-1, dtype=routing.gates.dtype),
            of_scores(rule, of_token, tokens),
            shifted=rule.balance.shifted,
        )
        of_bias = of_logits[:, -1:].sum(dim=0) if need_bias else None
        of_hidden = (of_weighted * factors).view(-1, ranks)
        of_up = None
        if need_up:
            of_up = torch.addmm(up, weighted.mT, gradient, beta=0, alpha=rule.scale)
            of_up = of_up.view(*down.shape[:2], -1)
        of_logits = of_logits.to(flat.dtype)
        of_x = of_kept = of_down = of_router = None
        if kept is None:
            of_both = torch.cat([of_hidden, of_logits], dim=-1)
            if need_x:
                of_x = of_both @ torch.cat([down.view(ranks, width), router])
            if need_down or need_router:
                of_down, of_router = (of_both.mT @ flat).split_with_sizes([ranks, len(router)])
        else:
            of_x = of_logits @ router if need_x else None
            of_kept = (of_hidden @ down.view(ranks, width)).view(ctx.shape) if need_kept else None
            of_down = of_hidden.mT @ kept if need_down else None
            of_router = of_logits.mT @ flat if need_router else None
        return (
            None if of_x is None else of_x.view(ctx.shape),
            of_kept,
            of_output if need_output else None,
            None if of_down is None else of_down.view(down.shape),
            of_up,
            of_router,
            of_bias,
            None,
            None,
        )


def routed(
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
    """The adapted output (… × out), and sums over tokens for the statistics (4 × E).

    x: … × in, what the router sees; kept: what experts see where that differs (after dropout);
    output: … × out of the base layer, or None for the update alone. down: E × r × in; up: E × r ×
    out; router: E × in, under a threshold gate with the threshold's row last, whose bias is `bias`
    (1). All of one dtype. tokens: T, 1 where a token counts. The sums are of active experts, gates,
    p and −p·ln p, in this order.
    """
    found: tuple[Tensor, Tensor] = Routed.apply(
        x, kept, output, down, up, router, bias, tokens, rule
    )
    return found


def _logits(logits: Tensor, bias: Tensor | None) -> Tensor:
    """In float32 at least, the threshold's bias added."""
    logits = logits.to(torch.promote_types(logits.dtype, torch.float32))
    if bias is None:
        return logits
    return torch.cat([logits[:, :-1], logits[:, -1:] + bias], dim=-1)


def sums_of(routing: Routing, tokens: Tensor | None) -> tuple[Tensor, Tensor | float]:
    """Sums over tokens that count (4 × E, as `routed` gives them), and how many those are."""
    entropy = torch.special.entr(routing.probabilities)
    parts = torch.stack([routing.active, routing.gates, routing.probabilities, entropy])
    if tokens is None:
        return parts.sum(dim=1), float(parts.shape[1])
    weights = tokens.to(parts.dtype)
    return (parts * weights.unsqueeze(-1)).sum(dim=1), weights.sum().clamp_(min=1.0)


def balanced(rule: Rule, picks: Tensor, count: Tensor | float) -> Tensor | None:
    """The balance loss's gradient of one token's scores (E); its layer's pool counts the picks.

    None where there is no loss, or where it is known when the whole layer has been through.
    """
    balance = rule.balance
    if rule.pool is not None and not rule.counted_before:
        rule.pool.add(picks, count)
    if rule.pool is not None or balance.name == "none":
        return None
    return balance.gradient(picks, count, rule.gate.picks, rule.factor)


def of_scores(rule: Rule, of_token: Tensor | None, tokens: Tensor | None) -> Tensor | None:
    """The balance loss's gradient of the scores: T × E, or 1 × E where all tokens count."""
    pool = rule.pool
    if pool is not None and pool.picks is not None:
        of_token = rule.balance.gradient(pool.picks, pool.tokens, None, rule.factor)
    if of_token is None or tokens is None:
        return of_token
    return tokens.to(of_token.dtype).unsqueeze(-1) * of_token
