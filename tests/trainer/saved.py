"""A base model with a tokenizer of numbered words, and an adapter of mixtures, as folders."""

from dataclasses import dataclass
from pathlib import Path
from random import Random

import torch
from peft import PeftModel, get_peft_model
from tokenizers import Tokenizer, models, pre_tokenizers
from torch import nn
from transformers import PreTrainedTokenizerFast

from allocator.planner import plan
from analyzer.api import outline
from tests.families import save_family
from trainer.tuner import MixtureConfig
from trainer.tuner.facts import mixtures


@dataclass(frozen=True)
class Saved:
    """Where they lie; `file` and `out` are names to write to."""

    root: Path

    @property
    def base(self) -> str:
        return str(self.root / "base")

    @property
    def adapter(self) -> str:
        return str(self.root / "adapter")

    @property
    def out(self) -> Path:
        return self.root / "out"

    def texts(self, texts: list[str], name: str = "texts.txt") -> Path:
        path = self.root / name
        path.write_text("\n".join(texts))
        return path


def save(root: Path, family: str = "llama", counts=(1, 1), **options) -> Saved:
    """Layers with so many experts in every module; B is not zero, as after training."""
    saved = Saved(root)
    model = save_family(family, root / "base")
    save_tokenizer(root / "base")
    made = plan(outline(root / "base"), method="custom", parameters={"counts": list(counts)})
    save_adapter(get_peft_model(model, MixtureConfig.from_plan(made, **options)), saved)
    return saved


def save_adapter(model: PeftModel, saved: Saved) -> None:
    torch.manual_seed(1)
    for mixture in mixtures(model).values():
        nn.init.normal_(mixture.experts_B, std=0.3)
        if mixture.router is not None:
            nn.init.normal_(mixture.router, std=0.5)
    for name, parameter in model.named_parameters():
        if "modules_to_save" in name:
            nn.init.normal_(parameter, std=0.3)
    model.save_pretrained(saved.adapter)


def save_tokenizer(folder: Path, words: int = 64) -> None:
    """`w5` is token 5; no padding token, as many causal models have none."""
    vocabulary = {f"w{number}": number for number in range(3, words)} | {"</s>": 2}
    tokenizer = Tokenizer(models.WordLevel(vocabulary, unk_token="w3"))
    tokenizer.pre_tokenizer = pre_tokenizers.Whitespace()
    made = PreTrainedTokenizerFast(tokenizer_object=tokenizer, eos_token="</s>")
    made.save_pretrained(folder)


def drawn(count: int, longest: int = 20, seed: int = 0) -> list[str]:
    """Texts of 2 to so many words."""
    draw = Random(seed)
    lengths = [draw.randint(2, longest) for _ in range(count)]
    return [" ".join(f"w{draw.randint(3, 63)}" for _ in range(length)) for length in lengths]


def ids_of(text: str) -> torch.Tensor:
    """1 × tokens, without the tokenizer."""
    return torch.tensor([[int(word[1:]) for word in text.split()]])
