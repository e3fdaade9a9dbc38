"""What a training loop tells all mixtures of an adapter about the step that it is in."""

from collections import defaultdict
from typing import Literal

from torch import Tensor

from trainer.balance import Pool

Side = Literal["main", "encoder", "decoder", "none"]
"""Whose tokens a module sees: a model's only stack, those of a pair, or none that a mask tells."""


class Pass:
    """One forward pass of a model: its padding masks by side, and what its layers picked."""

    def __init__(self, masks: dict[str, Tensor | None]) -> None:
        """A pass begins with these masks, 1 for a token."""
        self.masks = masks
        self.pools: defaultdict[str, Pool] = defaultdict(Pool)


class Step:
    """Shared by all mixtures of a model. A loop needs `begin`, and nothing where it does not
    accumulate and uses no loss scaling.

    A recomputation (activation checkpointing) goes by the last pass that was made with gradients;
    so under checkpointing each training pass has its backward pass before the next one.
    """

    def __init__(self) -> None:
        """One micro-batch a step, no scaling, no padding."""
        self.factor = 1.0
        self.masked_always = False
        self.current = Pass({})

    def begin(self, *, micro_batches: int = 1, loss_scale: float = 1.0) -> None:
        """A step of so many micro-batches begins; `loss_scale` is 1 unless a scaler is at work.

        The balance loss of a step is the mean over its micro-batches (and over processes, where
        gradients are averaged).
        """
        if micro_batches < 1:
            raise ValueError(f"micro_batches is {micro_batches}; a step has at least one")
        self.factor = loss_scale / micro_batches

    def see(self, masks: dict[str, Tensor | None]) -> Pass:
        """A forward pass begins with these padding masks by side; the pass before it."""
        before, self.current = self.current, Pass(masks)
        return before

    def tokens(self, side: Side, x: Tensor) -> Tensor | None:
        """Which tokens of `x` (… × in), flattened, are not padding; None for all of them.

        A mask that is longer along its sequence than what is seen, as in generation with a cache,
        says so of its last positions. One of other sizes says nothing.
        """
        mask = self.current.masks.get(side)
        if mask is None or mask.ndim != 2:
            return None
        seen = x.shape[:-1]
        if mask.numel() != seen.numel():
            if len(seen) != 2 or seen[0] != mask.shape[0] or not 0 < seen[1] < mask.shape[1]:
                return None
            mask = mask[:, -seen[1] :]
        return mask.reshape(-1).to(x.device)
