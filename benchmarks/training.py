"""A step of a training run of ours beside the same run with PEFT's LoRA of as many parameters.

Both runs are `trainer.finetune.loop.Loop` over a Llama of random weights with every linear layer of
its blocks adapted (E experts, r = 8, k = 2; the LoRA has the rank that makes its parameters as
many): forward, backward, clipping and AdamW, statistics, balance loss and the loop's own checks
included. They take turns step by step in one process, and the ratio is the median over pairs of
neighbouring steps. Peak memory is that of a run alone in a process of its own, over what it held
before its first step (on a GPU: what torch had allocated at most).

    python -m benchmarks.training [--dtypes float32,bfloat16] [--masks none,dropout] [--steps 30]
    python -m benchmarks.training --shape 1b --tokens 8192          for a GPU
"""

import argparse
import json
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path
from statistics import median, quantiles
from typing import Any

import torch
import transformers

from allocator.planner import plan
from analyzer.api import outline
from benchmarks.machine import describe
from benchmarks.resident import forget_peak, peak, resident
from trainer.dataset.collate import Collate
from trainer.dataset.encode import Sample
from trainer.exports.base import silence
from trainer.finetune.adapt import adapt
from trainer.finetune.base import Loaded
from trainer.finetune.loop import Loop, arguments_of
from trainer.finetune.metrics import Metrics
from trainer.presets import make_recipe
from trainer.recipe import Recipe

KINDS = {"lora": "lora", "ours": "alphalora"}
"""Presets."""

SHAPES: dict[str, dict[str, int]] = {
    "small": {
        "hidden_size": 1024, "intermediate_size": 2816, "num_attention_heads": 16,
        "num_hidden_layers": 3, "vocab_size": 1024,
    },
    "1b": {
        "hidden_size": 2048, "intermediate_size": 8192, "num_attention_heads": 32,
        "num_hidden_layers": 16, "vocab_size": 32_000,
    },
    "tiny": {
        "hidden_size": 64, "intermediate_size": 128, "num_attention_heads": 2,
        "num_hidden_layers": 1, "vocab_size": 64,
    },
}  # fmt: skip
LENGTH, WARM = 256, 3
"""Tokens of a sequence, and steps that do not count."""


class Turns:
    """Two runs in two threads, of which one steps at a time."""

    def __init__(self, names: list[str]) -> None:
        """The first begins."""
        self._names, self._next, self._change = names, 0, threading.Condition()

    def wait_for(self, name: str) -> None:
        """Until it is that run's turn."""
        with self._change:
            if not self._change.wait_for(lambda: self._names[self._next] == name, timeout=600):
                raise RuntimeError(f"{name} waited for the other run, which has ended early")

    def pass_on(self) -> None:
        """It is the other one's turn."""
        with self._change:
            self._next = (self._next + 1) % len(self._names)
            self._change.notify_all()


class Clock(transformers.TrainerCallback):
    """Seconds of each step, taken in turn."""

    def __init__(self, name: str, turns: Turns) -> None:
        """No step yet."""
        self.seconds: list[float] = []
        self._name, self._turns, self._start = name, turns, 0.0

    def on_step_begin(self, *_: Any, **__: Any) -> None:
        """Wait for the turn."""
        self._turns.wait_for(self._name)
        self._start = now()

    def on_step_end(self, *_: Any, **__: Any) -> None:
        """The other one's turn."""
        self.seconds.append(now() - self._start)
        self._turns.pass_on()


def now() -> float:
    if torch.cuda.is_available():
        torch.cuda.synchronize()
    return time.perf_counter()


def recipe_of(folder: Path, kind: str, given: argparse.Namespace, dtype: str, mask: str) -> Recipe:
    """Of one run; the plan has as many experts in every layer."""
    base = folder / "base"
    if not base.exists():
        transformers.LlamaForCausalLM(config_of(given.shape)).bfloat16().save_pretrained(base)
        (folder / "rows.jsonl").write_text('{"text": "rows are drawn"}\n')
    counts = [given.experts] * SHAPES[given.shape]["num_hidden_layers"]
    made = plan(outline(base, hashes=True), method="custom", parameters={"counts": counts})
    rows = max(1, given.tokens // LENGTH)
    return make_recipe(
        made,
        task="language",
        base={"path": str(base), "weights": made.weights, "precision": dtype},
        data={"train": str(folder / "rows.jsonl")},
        preset=KINDS[kind],
        changes={
            "mixture.mask": mask, "mixture.mask_rate": 0.05 if mask == "dropout" else 0.0,
            "schedule.batch": rows, "schedule.micro_batch": rows, "schedule.shape": "constant",
            "schedule.warmup_steps": 0, "schedule.steps": given.steps + WARM,
            "checkpoints.every": 10**6,
        },
    )  # fmt: skip


def config_of(shape: str) -> Any:
    return transformers.LlamaConfig(**SHAPES[shape], pad_token_id=0, bos_token_id=1, eos_token_id=2)


def loop_of(folder: Path, kind: str, given: argparse.Namespace, dtype: str, mask: str) -> Loop:
    """A run that is ready to go."""
    recipe = recipe_of(folder, kind, given, dtype, mask)
    torch.manual_seed(0)
    model = transformers.AutoModelForCausalLM.from_pretrained(
        recipe.base.path, dtype=getattr(torch, dtype)
    )
    adapted: Any = adapt(Loaded(model, None, ()), recipe)
    if torch.cuda.is_available():
        adapted.cuda()
    length = min(LENGTH, given.tokens)
    draw = torch.Generator().manual_seed(0)
    ids = torch.randint(3, SHAPES[given.shape]["vocab_size"], (64, length), generator=draw)
    samples = [Sample(row, row) for row in ids.tolist()]
    out = folder / f"{kind}-{dtype}-{mask}"
    out.mkdir(exist_ok=True)
    return Loop(
        recipe,
        Metrics(out / "metrics.jsonl", lambda _: None),
        model=adapted,
        args=arguments_of(recipe, out, processes=1, samples=len(samples)),
        data_collator=Collate(0),
        train_dataset=samples,
    )


def compare(folder: Path, given: argparse.Namespace, dtype: str, mask: str) -> dict[str, Any]:
    """Seconds a step by kind, in turns."""
    turns = Turns(list(KINDS))
    loops, clocks, threads = [], {}, []
    for kind in KINDS:
        loop = loop_of(folder, kind, given, dtype, mask)
        clocks[kind] = Clock(kind, turns)
        loop.add_callback(clocks[kind])
        loop._save_checkpoint = lambda *_: None  # type: ignore[method-assign]
        loops.append(loop)
        threads.append(threading.Thread(target=loop.train))
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    found = {kind: clock.seconds[WARM:] for kind, clock in clocks.items()}
    found["parameters"] = [
        sum(p.numel() for p in loop.model.parameters() if p.requires_grad) for loop in loops
    ]
    return found


def measure(given: argparse.Namespace) -> None:
    """In a process of its own: print the megabytes of one run over what was there before."""
    kind, dtype, mask = given.measure.split(",")
    with tempfile.TemporaryDirectory() as name:
        loop = loop_of(Path(name), kind, given, dtype, mask)
        loop._save_checkpoint = lambda *_: None  # type: ignore[method-assign]
        before = resident()
        forget_peak()
        loop.train()
    print(json.dumps(peak() - before))


def memory(given: argparse.Namespace, kind: str, dtype: str, mask: str) -> float:
    command = [sys.executable, "-m", "benchmarks.training", "--measure", f"{kind},{dtype},{mask}"]
    command += ["--steps", "1", "--shape", given.shape, "--tokens", str(given.tokens)]
    command += ["--experts", str(given.experts)]
    done = subprocess.run(command, check=True, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
    return float(json.loads(done.stdout.splitlines()[-1]))


def row(given: argparse.Namespace, dtype: str, mask: str) -> str:
    """One line of the table."""
    with tempfile.TemporaryDirectory() as name:
        found = compare(Path(name), given, dtype, mask)
    ratios = [ours / lora for lora, ours in zip(found["lora"], found["ours"], strict=True)]
    low, _, high = quantiles(ratios, n=4)
    cells = [f"{1000 * median(found[kind]):.0f}" for kind in KINDS]
    cells += [f"{median(ratios):.2f}", f"{low:.2f} to {high:.2f}"]
    cells += [f"{memory(given, kind, dtype, mask):.0f}" for kind in KINDS]
    cells += [f"{count:,}" for count in found["parameters"]]
    return f"| {dtype} | {mask} | {' | '.join(cells)} |"


def words(text: str) -> list[str]:
    return text.split(",")


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description="Step time of a run, beside PEFT's LoRA.")
    parser.add_argument("--shape", choices=SHAPES, default="small")
    parser.add_argument("--tokens", type=int, default=2048, help="of a micro-batch")
    parser.add_argument("--experts", type=int, default=5)
    parser.add_argument("--dtypes", type=words, default=["float32", "bfloat16"])
    parser.add_argument("--masks", type=words, default=["none", "dropout"])
    parser.add_argument("--steps", type=int, default=30)
    parser.add_argument("--measure", help=argparse.SUPPRESS)
    given = parser.parse_args()
    silence()
    if given.measure:
        measure(given)
        return
    print(f"{describe()}, {given.shape}, {given.tokens} tokens, E = {given.experts}\n")
    print(
        "| dtype | mask | LoRA ms | ours ms | ours / LoRA | quartiles | LoRA MB | ours MB "
        "| LoRA parameters | ours |"
    )
    print("|---" * 10 + "|")
    for dtype in given.dtypes:
        for mask in given.masks:
            print(row(given, dtype, mask), flush=True)


if __name__ == "__main__":
    main()
