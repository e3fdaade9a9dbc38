"""The golden numbers under tests/data, computed by independent code (see its README)."""

import json
from functools import cache
from pathlib import Path
from typing import Any

DATA = Path(__file__).parent / "data"


@cache
def minilm_matrices() -> list[dict[str, Any]]:
    """One record per 2-D weight of all-MiniLM-L6-v2."""
    return json.loads((DATA / "minilm.json").read_text())["matrices"]


@cache
def released_allocations() -> list[dict[str, Any]]:
    """Inputs and outputs of AlphaLoRA's released integer rule."""
    return json.loads((DATA / "alphalora_allocations.json").read_text())["cases"]


@cache
def llama2_block_means() -> list[float]:
    """Mean alpha of each block of Llama-2-7B."""
    return json.loads((DATA / "llama2_7b_alpha_peak.json").read_text())["block_mean"]


def number(value: float | str) -> float:
    """A golden number; NaN and infinities are stored as strings."""
    return float(value)


@cache
def published_plan() -> dict[str, Any]:
    """The plan for Mistral-7B in AlphaLoRA's training script: allocation, top_k, lora_rank."""
    (found,) = json.loads((DATA / "alphalora_allocations.json").read_text())["published"]
    return found


@cache
def llama2_scores() -> list[float]:
    """The exponents of Llama-2-7B as AlphaPruning ships them: 7 a block, block after block."""
    return json.loads((DATA / "llama2_7b_alpha_peak.json").read_text())["values"]
