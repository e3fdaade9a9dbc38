"""Short passes that show whether a model lets something be seen that must not be.

A model is asked twice, and only what it must not see differs. Where that is kept out its weight is
zero, so the answers are equal to the last bits, in every precision; where it is not, they are not.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn

_KEPT, _VARIED = 5, 7
"""Tokens that stay, and tokens that differ."""


def sees_padding(model: Any) -> bool:
    """Whether the logits of a padded sample depend on what it is padded with."""
    kept, first, second = _ids(model)
    mask = torch.ones(1, _KEPT + _VARIED, dtype=torch.long, device=model.device)
    mask[:, _KEPT:] = 0
    with _at_rest(model):
        found = [
            model(input_ids=torch.cat([kept, other], dim=1), attention_mask=mask).logits
            for other in (first, second)
        ]
    return not _same(*found)


def mixes_samples(model: Any) -> bool:
    """Whether a sample's logits depend on what is packed before it, or on its place."""
    kept, first, second = _ids(model)
    places = torch.arange(_KEPT + _VARIED, device=model.device)
    places = torch.where(places < _VARIED, places, places - _VARIED).unsqueeze(0)
    with _at_rest(model):
        alone = model(input_ids=kept).logits
        found = [
            model(
                input_ids=torch.cat([other, kept], dim=1),
                attention_mask=torch.ones_like(places),
                position_ids=places,
            ).logits[:, _VARIED:]
            for other in (first, second)
        ]
    rounding = torch.finfo(alone.dtype).eps ** 0.5
    return not (_same(*found) and _same(found[0], alone, rounding))


def _ids(model: Any) -> tuple[Tensor, Tensor, Tensor]:
    """Tokens that are kept, and two texts of other tokens; 1 × tokens each."""
    size = int(model.config.get_text_config().vocab_size)
    places = torch.arange(_KEPT + 2 * _VARIED, device=model.device).unsqueeze(0)
    ids = (3 + 7 * places) % size
    kept, first, second = ids.split([_KEPT, _VARIED, _VARIED], dim=1)
    return kept, first, second


def _same(first: Tensor, second: Tensor, tolerance: float = 1e-5) -> bool:
    first, second = first.float(), second.float()
    return bool((first - second).abs().max() <= tolerance * (first - first.mean()).abs().max())


@contextmanager
def _at_rest(model: nn.Module) -> Iterator[None]:
    training = model.training
    model.eval()
    try:
        with torch.no_grad():
            yield
    finally:
        model.train(training)
