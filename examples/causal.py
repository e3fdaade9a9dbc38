"""A small Llama that can count learns to say which way: plan, train, evaluate. A minute on one CPU.

    python examples/causal.py [FOLDER]

First plain PyTorch teaches a new model to go on with rows such as `3 4 5` and `9 8 7`, so that its
weights have spectra to plan by. It is fine-tuned to answer `3 4 5` by `up` and `9 8 7` by `down`.
"""

import json
import sys
import tempfile
from pathlib import Path
from random import Random

import torch
import transformers
from tokenizers import Tokenizer, models, pre_tokenizers

import tailora
from trainer.assess import assess
from trainer.exports.base import silence
from trainer.finetune.run import finetune
from trainer.presets import make_recipe

NUMBERS, TERMS, END = 40, 8, "<end>"


def make_base(folder: Path, steps: int = 200) -> None:
    """A Llama of four layers that counts, and its tokenizer: a token a number."""
    torch.manual_seed(0)
    words = [END, *map(str, range(NUMBERS)), "up", "down"]
    raw = Tokenizer(models.WordLevel({word: index for index, word in enumerate(words)}, END))
    raw.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    tokenizer = transformers.PreTrainedTokenizerFast(
        tokenizer_object=raw, eos_token=END, pad_token=END
    )
    model = transformers.LlamaForCausalLM(
        transformers.LlamaConfig(
            hidden_size=96, intermediate_size=256, num_hidden_layers=4, num_attention_heads=4,
            vocab_size=len(words), max_position_embeddings=64, eos_token_id=0, bos_token_id=0,
        )
    )  # fmt: skip
    optimizer = torch.optim.AdamW(model.parameters(), lr=2e-3)
    for step in range(steps):
        rising = torch.randint(1, NUMBERS - TERMS + 2, (16, 1)) + torch.arange(TERMS)
        anything = torch.randint(len(words), (8, TERMS))  # so that no word is unknown to it
        batch = torch.cat([rising, rising.flip(1), anything])
        loss = model(input_ids=batch, labels=batch).loss
        loss.backward()
        optimizer.step()
        optimizer.zero_grad()
        if step % 50 == 0:
            print(f"counting, step {step}: loss {loss.item():.3f}")
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)


def questions() -> list[dict[str, str]]:
    """Rows of three to six numbers in any order, each with its direction."""
    rows = [
        {"prompt": " ".join(map(str, row)), "completion": f" {direction}"}
        for length in range(3, 7)
        for first in range(NUMBERS - length)
        for row, direction in (
            (range(first, first + length), "up"),
            (range(first + length, first, -1), "down"),
        )
    ]
    Random(0).shuffle(rows)
    return rows


def write(path: Path, rows: list[dict[str, str]]) -> str:
    """As .jsonl."""
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return str(path)


def main(folder: Path) -> None:
    """Make the base, plan, train, and measure on rows that it has not seen."""
    base = folder / "base"
    make_base(base)
    plan = tailora.plan(tailora.analyze(base), budget=12)
    print(f"experts: {plan.counts}")
    rows = questions()
    unseen = write(folder / "unseen.jsonl", rows[:40])
    recipe = make_recipe(
        plan,
        task="language",
        base={"path": str(base), "weights": plan.weights},
        data={"train": write(folder / "train.jsonl", rows[40:]), "held_out": unseen},
        changes={
            "optimiser.learning_rate": 1e-2, "schedule.epochs": 12, "schedule.warmup_steps": 10,
            "schedule.batch": 16, "schedule.micro_batch": 16, "data.length": 16,
            "checkpoints.every": 100,
        },
    )  # fmt: skip
    finetune(recipe, folder / "run", print)
    for name, base_only in (("before", True), ("after", False)):
        found = assess(
            str(folder / "run"), unseen, base_only=base_only, exact_match=40, new_tokens=2
        ).evaluation
        print(f"{name}: loss {found.loss:.3f}, right answers {found.exact_match:.3f}")


if __name__ == "__main__":
    silence()
    if len(sys.argv) > 1:
        main(Path(sys.argv[1]).resolve())
    else:
        with tempfile.TemporaryDirectory() as temporary:
            main(Path(temporary))
