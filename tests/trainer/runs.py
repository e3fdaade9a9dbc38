"""Tiny runs: a model with a tokenizer, data in files, and recipes."""

import json
from pathlib import Path
from random import Random

import torch

from allocator.planner import plan
from analyzer.api import outline
from tests.families import save_family
from tests.trainer.saved import save_tokenizer
from trainer.presets import make_recipe
from trainer.recipe import Recipe

SMALL = {
    "schedule.batch": 8, "schedule.micro_batch": 4, "schedule.warmup_steps": 0,
    "checkpoints.every": 2, "data.length": 32,
}  # fmt: skip


def write_lines(path: Path, rows: list[dict]) -> str:
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return str(path)


def pairs(count: int, seed: int = 0) -> list[dict]:
    """The completion repeats the prompt's last word."""
    draw = Random(seed)
    rows = []
    for _ in range(count):
        words = [f"w{draw.randint(3, 10)}" for _ in range(draw.randint(2, 6))]
        rows.append({"prompt": " ".join(words), "completion": f" {words[-1]}"})
    return rows


def topics(count: int, seed: int = 0) -> list[dict]:
    """Texts whose words are low or high numbers."""
    draw = Random(seed)
    rows = []
    for number in range(count):
        low = number % 2 == 0
        words = [str(draw.randint(3, 30) if low else draw.randint(31, 63)) for _ in range(5)]
        text = " ".join(f"w{word}" for word in words)
        rows.append({"text": text, "label": "low" if low else "high"})
    return rows


def two_classes(count: int) -> list[dict]:
    """Texts of three words for one class, and of three others for the other."""
    draw, words = Random(0), {"low": (3, 4, 5), "high": (40, 41, 42)}
    labels = [list(words)[number % 2] for number in range(count)]
    texts = [" ".join(f"w{draw.choice(words[label])}" for _ in range(5)) for label in labels]
    return [{"text": text, "label": label} for text, label in zip(texts, labels, strict=True)]


def lively(folder: Path, family: str) -> None:
    """A base whose random weights are large enough for its attention to tell tokens apart."""
    model = save_family(family, folder / "base")
    with torch.no_grad():
        for parameter in model.parameters():
            if parameter.ndim > 1:
                parameter.mul_(9)
    model.save_pretrained(folder / "base")
    save_tokenizer(folder / "base")


def recipe_in(
    folder: Path, rows: list[dict], *, task="language", family="llama", counts=(1, 3), **changes
) -> Recipe:
    """A recipe over a tiny model in `folder`; `preset`, and sections as section__field=value."""
    if not (folder / "base").exists():
        save_family(family, folder / "base")
        save_tokenizer(folder / "base")
    made = plan(
        outline(folder / "base", hashes=True), method="custom", parameters={"counts": list(counts)}
    )
    preset = changes.pop("preset", None)
    given = {**SMALL, **{key.replace("__", "."): value for key, value in changes.items()}}
    return make_recipe(
        made,
        task=task,
        base={"path": str(folder / "base"), "weights": made.weights},
        data={"train": write_lines(folder / "rows.jsonl", rows)},
        preset=preset,
        changes=given,
    )
