"""A causal model fine-tuned under three plans and a plain LoRA, over several seeds.

The model is trained from scratch on docstrings and licences, planned by `tailora plan`, and
fine-tuned to describe packages from their name and section (`benchmarks.corpora`): another kind of
text. `tailora compare-training` does that and says what differs beyond seed noise. What FOLDER
holds already is not made again.

    python -m benchmarks.causal FOLDER [--seeds 3] [--steps 800] [--prepare-only]
"""

import argparse
import shlex
import subprocess
import sys
from pathlib import Path
from typing import Any

import torch

from benchmarks.corpora.files import Corpus, described, prose
from benchmarks.frozen import read
from benchmarks.machine import describe
from benchmarks.plans import METHODS, make_plans
from benchmarks.pretrained import pretrain
from trainer.exports.base import silence

SETTINGS: dict[str, Any] = {
    "optimiser.learning_rate": 2e-3, "schedule.epochs": 2, "schedule.warmup_steps": 20,
    "schedule.batch": 16, "schedule.micro_batch": 16, "data.length": 64,
    "checkpoints.every": 10_000,
}  # fmt: skip


def command(folder: Path, corpus: Corpus, seeds: str) -> list[str]:
    """The comparison, as it is typed."""
    plans = [str(folder / "plans" / f"{name}.json") for name in METHODS]
    files = ["--data", str(corpus.train), "--held-out", str(corpus.held_out)]
    words = ["compare-training", *plans, "--model", str(folder / "base"), *files]
    words += ["--against", "lora", "--seeds", seeds, "--out", str(folder / "comparison")]
    for name, value in SETTINGS.items():
        words += ["--set", f"{name}={value}"]
    return words


def main() -> None:
    """Prepare what is not there, then compare."""
    parser = argparse.ArgumentParser(description="A causal model under several plans.")
    parser.add_argument("folder", type=Path)
    parser.add_argument("--seeds", default="3", help="how many")
    parser.add_argument("--steps", type=int, default=800, help="of the model's own training")
    parser.add_argument("--budget", type=int, default=30)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--prepare-only", action="store_true", help="print the command")
    given = parser.parse_args()
    torch.set_num_threads(given.threads)
    silence()
    folder = given.folder.resolve()
    print(describe())
    texts, pairs = prose(folder / "prose"), described(folder / "pairs")
    if not (folder / "base" / "tokenizer.json").exists():
        rows = ([row["text"] for row in read(file)] for file in texts)
        pretrain(folder / "base", *rows, steps=given.steps)
    make_plans(folder / "base", given.budget, folder / "plans")
    asked = command(folder, pairs, given.seeds)
    print(f"tailora {shlex.join(asked)}", flush=True)
    if not given.prepare_only:
        sys.exit(subprocess.run([sys.executable, "-m", "service.cli", *asked]).returncode)


if __name__ == "__main__":
    main()
