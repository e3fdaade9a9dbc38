"""The mean loss per token of a language model on texts, padding counted for nothing."""

from collections.abc import Sequence
from typing import Any, NamedTuple

import torch
from torch import Tensor
from torch.nn import functional

from trainer.errors import InvalidTexts, NotExportable


class Batch(NamedTuple):
    """Texts side by side, padded on the right. Both texts × tokens."""

    ids: Tensor
    mask: Tensor
    """1 for a token, 0 for padding."""


def make_batches(
    texts: Sequence[str], tokenizer: Any, *, max_length: int, batch_size: int
) -> list[Batch]:
    """The texts as token ids, cut to `max_length`, those of a length together.

    Texts of fewer than two tokens predict nothing and are left out; InvalidTexts where all are.
    """
    if max_length < 2 or batch_size < 1:
        raise InvalidTexts(
            f"max-length is {max_length} and batch-size {batch_size}; give at least 2 and 1"
        )
    rows = [tokenizer(text, truncation=True, max_length=max_length).input_ids for text in texts]
    rows = sorted((row for row in rows if len(row) > 1), key=len)
    if not rows:
        raise InvalidTexts("no text has two tokens, so there is nothing to predict; give longer")
    padding = next(
        (found for found in (tokenizer.pad_token_id, tokenizer.eos_token_id) if found is not None),
        0,
    )
    return [
        _batch(rows[start : start + batch_size], padding)
        for start in range(0, len(rows), batch_size)
    ]


def predicted(batches: Sequence[Batch]) -> int:
    """Tokens that are predicted: all but the first of each text."""
    return sum(int(batch.mask[:, 1:].sum()) for batch in batches)


def longest_of(config: Any) -> int | None:
    """Tokens that the model has positions for, where its config says so."""
    found = getattr(config.get_text_config(), "max_position_embeddings", None)
    return found if isinstance(found, int) and found > 0 else None


def check_language_model(model: Any, name: str) -> None:
    """Raise NotExportable unless the model predicts the next token of a text."""
    if model.config.is_encoder_decoder or not model.can_generate():
        raise NotExportable(
            f"{name} is a {type(model).__name__}, which does not predict the next token of a text, "
            "so there is no loss to measure; this export is for causal language models"
        )


@torch.no_grad()
def mean_loss(model: Any, batches: Sequence[Batch]) -> float:
    """Mean over predicted tokens of −ln p, in nats; logits are taken to float32.

    Raises NotExportable where it is not finite.
    """
    total = 0.0
    for batch in batches:
        ids, mask = batch.ids.to(model.device), batch.mask.to(model.device)
        logits = model(input_ids=ids, attention_mask=mask, use_cache=False).logits
        for row, length in enumerate(batch.mask.sum(dim=1).tolist()):
            # One text at a time: float32 logits of a batch with a large vocabulary are gigabytes.
            found = logits[row, : length - 1].float()
            total += float(functional.cross_entropy(found, ids[row, 1:length], reduction="sum"))
    mean = total / predicted(batches)
    if mean != mean or mean in (float("inf"), float("-inf")):
        raise NotExportable(
            "the mean loss is not finite: base or adapter hold values that are not, or overflow; "
            "try the base in bfloat16 or float32"
        )
    return mean


def _batch(rows: Sequence[Sequence[int]], padding: int) -> Batch:
    width = max(map(len, rows))
    ids = torch.full((len(rows), width), padding)
    mask = torch.zeros_like(ids)
    for at, row in enumerate(rows):
        ids[at, : len(row)] = torch.tensor(row)
        mask[at, : len(row)] = 1
    return Batch(ids, mask)
