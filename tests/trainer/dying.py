"""A run that kills itself: `python -m tests.trainer.dying RECIPE OUT WHERE STEP [--fsdp]`.

WHERE is `never`, or what is cut off in step STEP: `step` (when it has ended), `files` (with half of
the optimizer's state on disk) or `seal` (all files there, no manifest yet). With `infinite` a
router has an infinite gradient in that step.
"""

import os
import signal
import sys
from pathlib import Path
from typing import Any

import transformers

from trainer.exports.base import silence
from trainer.finetune import loop
from trainer.finetune.run import finetune
from trainer.recipe import Recipe


def die() -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def after_the_step(step: int) -> None:
    ended = loop.Stopping.on_step_end

    def at_step_end(self: Any, args: Any, state: Any, control: Any, **words: Any) -> None:
        if state.global_step == step:
            die()
        ended(self, args, state, control, **words)

    loop.Stopping.on_step_end = at_step_end


def between_files(step: int) -> None:
    save = transformers.Trainer._save_optimizer_and_scheduler

    def half(self: Any, folder: str) -> None:
        save(self, folder)
        if self.state.global_step == step:
            file = Path(folder) / "optimizer.pt"
            file.write_bytes(file.read_bytes()[: file.stat().st_size // 2])
            die()

    transformers.Trainer._save_optimizer_and_scheduler = half


def before_the_seal(step: int) -> None:
    whole = loop.seal

    def unsealed(folder: Path) -> None:
        if folder.name == f"checkpoint-{step}":
            die()
        whole(folder)

    loop.seal = unsealed


def infinite(step: int) -> None:
    def at_step_begin(self: Any, args: Any, state: Any, *_: Any, model: Any, **__: Any) -> None:
        if state.global_step == step - 1:
            router = next(p for n, p in model.named_parameters() if n.endswith("router"))
            router.register_hook(lambda gradient: gradient * float("inf"))

    loop.Stopping.on_step_begin = at_step_begin


WAYS = {
    "step": after_the_step,
    "files": between_files,
    "seal": before_the_seal,
    "infinite": infinite,
}


def main(recipe: str, out: str, where: str, step: str, *options: str) -> None:
    silence()
    if where != "never":
        WAYS[where](int(step))
    told = Recipe.model_validate_json(Path(recipe).read_bytes())
    finetune(told, Path(out), print, fsdp="--fsdp" in options)


if __name__ == "__main__":
    main(*sys.argv[1:])
