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

from trainer.balance import Balance
from trainer.gates import Gate, Routing


class Rule(NamedTuple):
    """How a mixture decides, and what its balance costs."""

    gate: Gate
    balance: Balance
    scale: float
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
        factor: Tensor,
        rule: Rule,
    ) -> tuple[Tensor, Tensor]:
        """See `routed`."""
        ranks = down.shape[0]
        if kept is None:
            both = x @ torch.cat([down, router]).mT
            hidden, logits = both[:, :ranks], both[:, ranks:]
        else:
            hidden, logits = kept @ down.mT, x @ router.mT
        logits = logits.to(torch.promote_types(logits.dtype, torch.float32))
        if bias is not None:
            logits = torch.cat([logits[:, :-1], logits[:, -1:] + bias], dim=-1)
        routing = rule.gate.route(logits)
        sums, count = sums_of(routing, tokens)
        slopes = slopes_of(rule, sums[0], count)
        factors = (routing.gates * rule.scale).to(x.dtype)
        weighted = _by_expert(hidden, factors)
        found = weighted @ up if output is None else torch.addmm(output, weighted, up)
        ctx.rule, ctx.count = rule, count if isinstance(count, float) else None
        ctx.save_for_backward(
            x, kept, down, up, router, tokens, factor, hidden, factors, slopes,
            None if isinstance(count, float) else count, *routing,
        )  # fmt: skip
        ctx.mark_non_differentiable(sums)
        return found, sums

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor, _: Tensor) -> tuple[Tensor | None, ...]:
        """Gradients of the arguments of `forward`, the balance loss's included."""
        (
            x, kept, down, up, router, tokens, factor, hidden, factors, slopes, count, *fields,
        ) = ctx.saved_tensors  # fmt: skip
        rule: Rule = ctx.rule
        routing = Routing(*fields)
        ranks, experts = down.shape[0], factors.shape[-1]
        need_x, need_kept, need_output, need_down, need_up, need_router, need_bias = (
            ctx.needs_input_grad[:7]
        )
        of_weighted = gradient @ up.mT
        of_gates = (hidden * of_weighted).unflatten(-1, (experts, -1)).sum(-1, dtype=slopes.dtype)
        of_logits = rule.gate.gradient(
            routing,
            of_gates.mul_(rule.scale),
            of_scores(rule, slopes, ctx.count if count is None else count, tokens, factor),
            shifted=rule.balance.shifted,
        )
        of_bias = of_logits[:, -1:].sum(dim=0) if need_bias else None
        of_hidden = _by_expert(of_weighted, factors)
        of_up = _by_expert(hidden, factors).mT @ gradient if need_up else None
        of_logits = of_logits.to(x.dtype)
        of_x = of_kept = of_down = of_router = None
        if kept is None:
            of_both = torch.cat([of_hidden, of_logits], dim=-1)
            if need_x:
                of_x = of_both @ torch.cat([down, router])
            if need_down or need_router:
                of_rows = of_both.mT @ x
                of_down, of_router = of_rows[:ranks], of_rows[ranks:]
        else:
            of_x = of_logits @ router if need_x else None
            of_kept = of_hidden @ down if need_kept else None
            of_down = of_hidden.mT @ kept if need_down else None
            of_router = of_logits.mT @ x if need_router else None
        of_output = gradient if need_output else None
        return of_x, of_kept, of_output, of_down, of_up, of_router, of_bias, None, None, None


def routed(
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
    """The adapted output (T × out), and sums over tokens for the statistics (4 × E).

    x: T × in, what the router sees; kept: what experts see where that differs (after dropout);
    output: T × out of the base layer, or None for the update alone. down: E·r × in; up: E·r × out;
    router: E × in, under a threshold gate with the threshold's row last, whose bias is `bias` (1).
    All of one dtype. tokens: T, 1 where a token counts; factor: the step's factor of the balance
    loss. The sums are of active experts, gates, probabilities and −p·ln p, in this order.
    """
    found: tuple[Tensor, Tensor] = Routed.apply(
        x, kept, output, down, up, router, bias, tokens, factor, rule
    )
    return found


def _by_expert(hidden: Tensor, factors: Tensor) -> Tensor:
    """T × E·r, with the r columns of an expert times its factor."""
    split = hidden.view(hidden.shape[0], factors.shape[-1], -1)
    return (split * factors.unsqueeze(-1)).flatten(1)


def sums_of(routing: Routing, tokens: Tensor | None) -> tuple[Tensor, Tensor | float]:
    """Sums over tokens that count (4 × E, as `routed` gives them), and how many those are."""
    parts = torch.stack([
        routing.active,
        routing.gates,
        routing.probabilities,
        torch.special.entr(routing.probabilities),
    ])  # fmt: skip
    if tokens is None:
        return parts.sum(dim=1), float(parts.shape[1])
    weights = tokens.to(parts.dtype)
    return weights @ parts, weights.sum().clamp(min=1.0)


def slopes_of(rule: Rule, picks: Tensor, count: Tensor | float) -> Tensor:
    """The balance loss's slopes (E) for the picks (E) of this module, which its layer counts."""
    pool = rule.balance.pool
    if pool is not None and not rule.counted_before:
        pool.add(picks, count)
    return rule.balance.slopes(picks, count)


def of_scores(
    rule: Rule, slopes: Tensor, count: Tensor | float, tokens: Tensor | None, factor: Tensor
) -> Tensor | None:
    """The balance loss's gradient of the scores: T × E, or 1 × E where all tokens count."""
    if rule.balance.name == "none" or rule.balance.weight == 0:
        return None
    of_token = rule.balance.gradient(slopes, count) * factor.to(slopes.dtype)
    if tokens is None:
        return of_token.unsqueeze(0)
    return tokens.to(slopes.dtype).unsqueeze(-1) * of_token
