"""A run that gets no more memory: `python -m tests.trainer.starved RECIPE OUT WHEN`.

WHEN is what it begins with that: `evaluation`, `pass` or `optimizer`.
"""

import resource
import sys
from pathlib import Path
from typing import Any

import psutil
import torch

from trainer.exports.base import silence
from trainer.finetune import held_out, loop
from trainer.finetune.run import finetune
from trainer.recipe import Recipe

PIECE = 1 << 12
"""Numbers of a tensor, smaller than any state of the optimizer."""


class Held:
    """Memory that was free within the process."""

    tensors: list[torch.Tensor] = []  # noqa: RUF012


def starve() -> None:
    """Let the process grow no more, and take what it has."""
    size = psutil.Process().memory_info().vms
    resource.setrlimit(resource.RLIMIT_AS, (size, size))
    while len(Held.tensors) < 1_000_000:
        try:
            Held.tensors.append(torch.empty(PIECE))
        except RuntimeError:
            return


def main(recipe: str, out: str, when: str) -> None:
    silence()
    if when == "evaluation":
        evaluate = held_out.evaluate

        def starved(*arguments: Any, **words: Any) -> Any:
            starve()
            return evaluate(*arguments, **words)

        held_out.evaluate = starved
    else:
        event = {"pass": "on_step_begin", "optimizer": "on_pre_optimizer_step"}[when]
        setattr(loop.Stopping, event, lambda *_, **__: starve())
    try:
        finetune(Recipe.model_validate_json(Path(recipe).read_bytes()), Path(out))
    finally:
        Held.tensors.clear()


if __name__ == "__main__":
    main(*sys.argv[1:])
