"""A small Llama that can count learns two words: plan, train, evaluate. A minute on one CPU.

    python examples/causal.py [FOLDER]

First plain PyTorch teaches a new model to count, so that its weights have spectra to plan by. It
reads rows such as `3 4 5 6`, with `low` and `high` between them at random. Fine-tuning gives these
words their meaning: by which of them a row is answered depends on its last number.
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
    words = [END, *map(str, range(NUMBERS)), "low", "high"]
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
    low = words.index("low")
    optimizer = torch.optim.AdamW(model.parameters(), lr=2e-3)
    for step in range(steps):
        rows = torch.randint(1, NUMBERS - TERMS + 2, (64, 1)) + torch.arange(TERMS)
        rows = torch.cat([low + torch.randint(2, (64, 1)), rows], dim=1)
        batch = torch.cat([rows.view(32, -1), torch.zeros(32, 1, dtype=torch.long)], dim=1)
        loss = model(input_ids=batch, labels=batch).loss
        loss.backward()
        optimizer.step()
        optimizer.zero_grad()
        if step % 50 == 0:
            print(f"counting, step {step}: loss {loss.item():.3f}")
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)


def questions() -> list[dict[str, str]]:
    """Rows of two to seven numbers in any order, each with its word."""
    rows = [
        {
            "prompt": " ".join(map(str, range(last - length + 1, last + 1))),
            "completion": " high" if 2 * last >= NUMBERS else " low",
        }
        for length in range(2, 8)
        for last in range(length - 1, NUMBERS)
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
            "optimiser.learning_rate": 3e-3, "schedule.epochs": 25, "schedule.warmup_steps": 10,
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
