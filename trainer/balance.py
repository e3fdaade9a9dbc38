"""Balance losses: what keeps a router from sending everything to few experts.

Each is a function of one micro-batch on one process, on tokens that are not padding, and of the
form Σ_e slope_e · mean_t(score_te) with slopes that carry no gradient. So its gradient is known
once the picks are counted, and the layer adds it in its own backward pass: it needs no list of
losses, and activation checkpointing cannot lose it.

    sound     E · Σ_e f_e · mean p_e, f_e the share of all picks (Switch); 1 where balanced
    adamole   E · Σ_e (n_e / T) · mean (p_e − τ), as AdaMoLE published it; threshold gates only
    mola      sound, over the tokens of all modules of a layer together, as MoLA's code has it
    none      no loss

A module with one expert has no loss. `sound` and `adamole` are averaged over modules, `mola` is
summed over layers.
"""

from dataclasses import dataclass
from typing import Literal

from torch import Tensor

BalanceName = Literal["sound", "adamole", "mola", "none"]


@dataclass(slots=True)
class Pool:
    """What the modules of one layer picked in one forward pass."""

    picks: Tensor | None = None
    tokens: Tensor | float = 0.0

    def add(self, picks: Tensor, tokens: Tensor | float) -> None:
        """Count the picks (E) of one module for so many tokens."""
        self.picks = picks if self.picks is None else self.picks + picks
        self.tokens = self.tokens + tokens


@dataclass(frozen=True, slots=True)
class Balance:
    """The balance loss of one module."""

    name: BalanceName
    weight: float
    """Coefficient of this module's loss in the total."""

    layer: str = ""
    """Whose modules are taken together; `mola` only."""

    @property
    def shifted(self) -> bool:
        """Whether it acts on the distance from the threshold."""
        return self.name == "adamole"

    def gradient(
        self, picks: Tensor, tokens: Tensor | float, each: int | None, factor: float
    ) -> Tensor:
        """Of the scores of one token that counts (E), for the picks (E) of so many tokens.

        `each` is the number of picks of every token, where it is known; `factor` is the step's.
        """
        weight = picks.shape[0] * self.weight * factor / tokens
        if self.name == "adamole":
            return picks * (weight / tokens)
        total = picks.sum().clamp_(min=1.0) if each is None else each * tokens
        return picks * (weight / total)
