"""A small Llama with mixtures of different sizes, and micro-batches for it."""

from collections.abc import Sequence
from pathlib import Path

import torch
from peft import PeftModel, get_peft_model
from torch import Tensor, nn

from allocator.plan import Plan
from allocator.planner import plan
from analyzer.api import outline
from tests.families import FAMILIES, save_family
from trainer.tuner import MixtureConfig
from trainer.tuner.facts import mixtures

COEFFICIENT = 0.5
COUNTS = (3, 1, 4, 2, 5, 1, 3, 2, 4, 1, 3, 2, 6, 4)
TOP_KS = (2, 1, 1, 1, 2, 1, 1, 1, 3, 1, 2, 1, 2, 2)
"""Of the seven modules of the lower layer, then of the upper."""

LENGTHS = ((9, -5, 2), (7, 7), (8, 1, 3), (3, 4))
"""Tokens of each row of each micro-batch; below 0 where padding comes first."""

WIDTHS = (9, 7, 8, 5)

Batch = dict[str, Tensor]


def planned(folder: Path, counts: Sequence[int] = COUNTS, top_ks: Sequence[int] = TOP_KS) -> Plan:
    """A count for each module, or for each layer."""
    save_family("llama", folder)
    found = outline(folder, cache=folder / "cache")
    each = len(counts) > 2
    return plan(found, method="custom", counts=counts, top_ks=top_ks, per_module=each)


def small_model(made: Plan, **options) -> PeftModel:
    """In training; weights are the same at every call, and large enough for gradients to be."""
    torch.manual_seed(0)
    config = MixtureConfig.from_plan(made, balance_coefficient=COEFFICIENT, **options)
    model = get_peft_model(FAMILIES["llama"](), config)
    torch.manual_seed(1)
    for parameter in model.parameters():
        if parameter.ndim > 1:
            nn.init.normal_(parameter, std=0.2)
    return model.train()


@torch.no_grad()
def starve(model: PeftModel) -> str:
    """Make a module never pick the last of its experts, whatever it sees; the module's name.

    Of two opposite logits one is above 0, and two such pairs leave no place for a logit of 0.
    """
    found = mixtures(model)
    name = next(name for name in found if found[name].shape.experts == 5)
    assert found[name].shape.top_k == 2
    rows = found[name].router
    rows[1], rows[3], rows[4] = -rows[0], -rows[2], 0.0
    return name


def micro_batches() -> list[Batch]:
    """Four of different sizes, with different amounts of padding."""
    torch.manual_seed(2)
    return [_batch(*each) for each in zip(LENGTHS, WIDTHS, strict=True)]


def _batch(lengths: Sequence[int], width: int) -> Batch:
    places = torch.arange(width)
    rows = [places < n if n > 0 else places >= width + n for n in lengths]
    mask = torch.stack(rows).long()
    words = torch.randint(3, 64, mask.shape) * mask
    labels = words.masked_fill(mask == 0, -100)
    return {"input_ids": words, "attention_mask": mask, "labels": labels}
