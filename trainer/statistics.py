"""What a mixture did since its statistics were last reset: cheap sums over tokens, always kept."""

from dataclasses import dataclass

import torch
from torch import Tensor


@dataclass(frozen=True, slots=True)
class ModuleStatistics:
    """One module's routing over the tokens (not padding) that it saw."""

    tokens: int
    load_share: tuple[float, ...]
    """Share of all picks that went to each expert; sums to 1 where anything was picked."""

    mean_gate: tuple[float, ...]
    """Mean factor of each expert's output, 0 where it was not active."""

    mean_probability: tuple[float, ...]
    """Mean of the router's probabilities, by expert; sums to 1."""

    entropy: float
    """Mean entropy of the router's probabilities, in nats; at most ln E."""

    active: float
    """Mean number of active experts of a token."""

    @property
    def imbalance(self) -> float:
        """E · Σ load share · mean probability: 1 where balanced, E where one expert has all."""
        pairs = zip(self.load_share, self.mean_probability, strict=True)
        return len(self.load_share) * sum(share * probability for share, probability in pairs)


class Counter:
    """Running sums of one module. Not a buffer: it is neither saved nor spread over processes."""

    def __init__(self, experts: int, each: int | None = None) -> None:
        """Nothing counted yet; `each` is the number of picks of every token, where it is known."""
        self._each = each
        self._sums = torch.zeros(4, experts)
        self._tokens = torch.zeros(())

    def add(self, sums: Tensor, tokens: Tensor | float) -> None:
        """Sums (4 × E) of active experts, gates, p and −p·ln p over so many tokens."""
        if self._sums.device != sums.device:
            self._sums, self._tokens = self._sums.to(sums.device), self._tokens.to(sums.device)
        # Not in place: what was made in inference mode could not be changed outside of it.
        self._sums = self._sums + sums
        if self._each is None:
            self._tokens = self._tokens + tokens

    @property
    def state(self) -> tuple[Tensor, Tensor]:
        """What was counted, to be put back."""
        return self._sums, self._tokens

    @state.setter
    def state(self, state: tuple[Tensor, Tensor]) -> None:
        self._sums, self._tokens = state

    def reset(self) -> None:
        """Forget what was counted."""
        self._sums = torch.zeros_like(self._sums)
        self._tokens = torch.zeros_like(self._tokens)

    def read(self) -> ModuleStatistics:
        """What was counted; waits for the device."""
        tokens = float(self._tokens if self._each is None else self._sums[0].sum() / self._each)
        active, gates, probabilities, entropy = (self._sums / max(tokens, 1.0)).tolist()
        picked = sum(active)
        return ModuleStatistics(
            tokens=round(tokens),
            load_share=tuple(value / picked if picked else 0.0 for value in active),
            mean_gate=tuple(gates),
            mean_probability=tuple(probabilities),
            entropy=sum(entropy),
            active=picked,
        )
