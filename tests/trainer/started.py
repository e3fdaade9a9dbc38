"""Runs in processes of their own, and what they wrote."""

import json
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from safetensors.torch import load_file
from torch import Tensor

TWO = ("-m", "torch.distributed.run", "--standalone", "--nproc-per-node=2")
"""Words that make two processes of it."""


def run_in_process(
    folder: Path,
    out: str,
    where: str,
    step: int,
    words: Sequence[str] = (),
    options: Sequence[str] = (),
) -> subprocess.CompletedProcess[str]:
    """`tests.trainer.dying` with the recipe in `folder`."""
    command = [sys.executable, *words, "-m", "tests.trainer.dying", str(folder / "recipe.json")]
    command += [str(folder / out), where, str(step), *options]
    return subprocess.run(command, capture_output=True, text=True)


def lines_of(out: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (out / "metrics.jsonl").read_text().splitlines()]


def weights_of(out: Path) -> dict[str, Tensor]:
    return load_file(out / "adapter" / "adapter_model.safetensors")
