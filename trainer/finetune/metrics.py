"""What a run tells while it goes: metrics.jsonl, a line each, and lines for the terminal."""

import json
import time
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Any

import psutil
import torch
import transformers

from trainer.finetune.files import replace_text
from trainer.finetune.limits import disk_is_told
from trainer.tuner.facts import reset_statistics, statistics

Say = Callable[[str], None]


class Metrics(transformers.TrainerCallback):
    """Loss, learning rate, tokens a second, memory, and what each router did, by step."""

    def __init__(self, file: Path, say: Say) -> None:
        """Lines are appended to `file`; `say` gets one for people."""
        self._file, self._say = file, say
        self._tokens, self._since = 0, time.monotonic()

    def go_on_from(self, step: int) -> None:
        """Drop lines of steps that will be made again: those after a checkpoint's."""
        if self._file.exists():
            lines = self._file.read_text(encoding="utf-8").splitlines(keepends=True)
            kept = [line for line in lines if _step_of(line) <= step]
            replace_text(self._file, "".join(kept))

    def see(self, inputs: dict[str, Any]) -> None:
        """A micro-batch goes into the model."""
        self._tokens += int(inputs["attention_mask"].sum())

    def on_train_begin(
        self, args: Any, state: Any, control: Any, model: Any = None, **_: Any
    ) -> None:
        """Time runs from here, and routers are counted."""
        reset_statistics(model)
        self._tokens, self._since = 0, time.monotonic()

    def on_log(
        self, args: Any, state: Any, control: Any, logs: Any = None, model: Any = None, **_: Any
    ) -> None:
        """Write a line where the log is one of a step."""
        if not state.is_world_process_zero or "loss" not in (logs or {}):
            return
        now = time.monotonic()
        line = {
            "step": state.global_step,
            "steps": state.max_steps,
            "epoch": round(state.epoch or 0.0, 4),
            "loss": logs["loss"],
            "learning_rate": logs.get("learning_rate"),
            "gradient_norm": _number(logs.get("grad_norm")),
            "tokens_per_second": round(self._tokens / max(now - self._since, 1e-9), 1),
            "memory_bytes": _memory(),
            "mixtures": {name: asdict(found) for name, found in statistics(model).items()},
        }
        reset_statistics(model)
        self._tokens, self._since = 0, now
        with (
            disk_is_told(self._file.name, self._file.parent),
            self._file.open("a", encoding="utf-8") as stream,
        ):
            stream.write(json.dumps(line) + "\n")
        self._say(
            f"step {state.global_step} of {state.max_steps}: loss {logs['loss']:.4f}, "
            f"{line['tokens_per_second']:,.0f} tokens/s"
        )


def _step_of(line: str) -> int:
    """A line that was cut off counts as after all others."""
    try:
        return int(json.loads(line)["step"])
    except (ValueError, KeyError, TypeError):
        return 2**63


def _number(value: Any) -> float | None:
    return None if value is None else float(value)


def _memory() -> int:
    if torch.cuda.is_available():
        return int(torch.cuda.max_memory_allocated())
    return int(psutil.Process().memory_info().rss)
