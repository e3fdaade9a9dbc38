"""Gates: which experts a token uses, and how much of each.

    topk        the k largest probabilities, divided by their sum (MoLA, AlphaLoRA)
    threshold   what exceeds a threshold of the token's own, divided by its sum (AdaMoLE)
    dense       all probabilities

T counts tokens, E experts. A gate takes logits (T × `width(E)`, float32 or float64) to a Routing,
and gradients of that back to one of the logits; both are closed forms, so that a layer needs one
node of autograd.
"""

from typing import Literal, NamedTuple, Protocol

import torch
from torch import Tensor

GateName = Literal["topk", "threshold", "dense"]


class Routing(NamedTuple):
    """What a gate decided. All T × E but `limits`."""

    gates: Tensor
    """Factors of the experts' outputs; 0 where an expert is not active."""

    active: Tensor
    """1 where an expert is active, else 0."""

    probabilities: Tensor
    """Softmax of the router's logits."""

    limits: Tensor | None = None
    """T × 1: the thresholds, under a threshold gate."""


class Gate(Protocol):
    """A rule for who is active."""

    picks: int | None
    """Active experts of every token; None where that depends on the token."""

    def width(self, experts: int) -> int:
        """Logits that the rule needs for each token."""
        ...

    def route(self, logits: Tensor) -> Routing:
        """Decide for every token."""
        ...

    def gradient(
        self, routing: Routing, of_gates: Tensor, of_scores: Tensor | None, *, shifted: bool
    ) -> Tensor:
        """The gradient of the logits.

        `of_gates` (T × E) comes from the outputs, `of_scores` (T × E, or E for all tokens alike)
        from the balance loss, which acts on the probabilities, or on their distance from the limits
        where it is `shifted`.
        """
        ...


class TopK:
    """The k largest probabilities, divided by their sum: a softmax over the chosen logits.

    MoLA (arXiv 2402.08562), equation 3.
    """

    def __init__(self, k: int) -> None:
        """`1 <= k <= E`; with k = E it is the dense gate."""
        self.picks: int | None = k

    def width(self, experts: int) -> int:
        """One logit an expert."""
        return experts

    def route(self, logits: Tensor) -> Routing:
        """Decide for every token."""
        probabilities = logits.softmax(dim=-1)
        if self.picks == logits.shape[-1]:
            return Routing(probabilities, torch.ones_like(probabilities), probabilities)
        assert self.picks is not None
        largest, picks = logits.topk(self.picks, dim=-1, sorted=False)
        shares = largest.softmax(dim=-1)
        gates = torch.zeros_like(probabilities).scatter_(-1, picks, shares)
        active = torch.zeros_like(probabilities).scatter_(-1, picks, 1.0)
        return Routing(gates, active, probabilities)

    def gradient(
        self, routing: Routing, of_gates: Tensor, of_scores: Tensor | None, *, shifted: bool
    ) -> Tensor:
        """The gradient of the logits."""
        found = _through_softmax(routing.gates, of_gates)
        if of_scores is not None:
            found += _through_softmax(routing.probabilities, of_scores.expand_as(found))
        return found


class Threshold:
    """What exceeds a limit τ = τ_max · σ(z) of each token, divided by its sum.

    z is the last logit. Where nothing exceeds it, no expert is active; with τ_max ≤ 1/E one always
    is. AdaMoLE (arXiv 2405.00361), equations 6 to 8.
    """

    def __init__(self, largest: float) -> None:
        """τ_max, above 0."""
        self.largest = largest
        self.picks: int | None = None

    def width(self, experts: int) -> int:
        """One logit an expert, and the threshold's."""
        return experts + 1

    def route(self, logits: Tensor) -> Routing:
        """Decide for every token."""
        probabilities = logits[:, :-1].softmax(dim=-1)
        limits = logits[:, -1:].sigmoid() * self.largest
        excess = (probabilities - limits).relu()
        total = excess.sum(dim=-1, keepdim=True)
        gates = excess / total.masked_fill(total == 0, 1.0)
        return Routing(gates, (excess > 0).to(gates.dtype), probabilities, limits)

    def gradient(
        self, routing: Routing, of_gates: Tensor, of_scores: Tensor | None, *, shifted: bool
    ) -> Tensor:
        """The gradient of the logits, the threshold's last."""
        gates, active, probabilities, limits = routing
        assert limits is not None
        total = ((probabilities - limits) * active).sum(dim=-1, keepdim=True)
        inner = of_gates - (gates * of_gates).sum(dim=-1, keepdim=True)
        of_probabilities = inner * active / total.masked_fill(total == 0, 1.0)
        of_limits = -of_probabilities.sum(dim=-1, keepdim=True)
        if of_scores is not None:
            of_probabilities = of_probabilities + of_scores
            if shifted:
                of_limits = of_limits - of_scores.sum(dim=-1, keepdim=True)
        of_threshold = of_limits * limits * (1 - limits / self.largest)
        return torch.cat([_through_softmax(probabilities, of_probabilities), of_threshold], dim=-1)


def make_gate(name: GateName, experts: int, top_k: int, largest: float | None) -> Gate:
    """The gate of one mixture; `largest` is τ_max of a threshold gate, 1/E where it is None."""
    if name == "topk":
        return TopK(top_k)
    if name == "dense":
        return TopK(experts)
    return Threshold(1.0 / experts if largest is None else largest)


def _through_softmax(values: Tensor, gradient: Tensor) -> Tensor:
    found: Tensor = torch.ops.aten._softmax_backward_data(gradient, values, -1, values.dtype)
    return found
