"""Packed sequences in a model: samples that share one see nothing of each other.

transformers tells samples apart where positions begin anew, for every kind of attention that it
has, if there is neither a padding mask nor a cache. The routers need the mask all the same, so it
is taken away behind them.
"""

from inspect import signature
from typing import Any

from peft import PeftModel
from torch import nn

from trainer.errors import ModelMismatch
from trainer.finetune.probe import mixes_samples


def keep_apart(model: PeftModel) -> None:
    """Make packed batches (those with `position_ids`) go into the model as they must.

    Raises ModelMismatch where its samples would see each other, or depend on where they lie.
    """
    base = model.get_base_model()
    if "position_ids" in signature(base.forward).parameters:
        hook = base.register_forward_pre_hook(_without_mask, with_kwargs=True)
        if not mixes_samples(model):
            return
        hook.remove()
    raise ModelMismatch(
        f"{type(base).__name__} does not keep the samples of a packed sequence apart in this "
        "version of transformers; leave out data.packing"
    )


def _without_mask(
    _: nn.Module, arguments: tuple[Any, ...], words: dict[str, Any]
) -> tuple[tuple[Any, ...], dict[str, Any]]:
    if words.get("position_ids") is not None:
        words = {**words, "attention_mask": None, "use_cache": False}
    return arguments, words
