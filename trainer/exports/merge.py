"""Merge an adapter with one expert everywhere into its base model."""

from dataclasses import dataclass
from pathlib import Path

from analyzer.text import shown
from trainer.errors import NotExportable
from trainer.exports.adapter import load, read_adapter, refuse_several
from trainer.exports.base import copy_tokenizer, load_base, quantised, read_config
from trainer.exports.places import Place, check_new, find, new_folder


@dataclass(frozen=True, slots=True)
class Merged:
    """What was merged."""

    modules: int
    dtype: str
    """Of the saved weights: the base's own."""

    tokenizer: tuple[str, ...]
    """Names of the tokenizer's files that were copied."""


def merge(adapter: str, base: str, out: Path) -> Merged:
    """Save the base model with the adapter's updates added, and its tokenizer, into `out`.

    `adapter` and `base` are folders or Hub ids. Nothing is written where it fails. Raises
    NotExportable for an adapter with several experts anywhere, a quantised base and an `out` that
    is not empty; BadAdapter, ModelMismatch; ModelNotFound, HubUnavailable and BadModel.
    """
    check_new(out)
    saved = find(adapter)
    config = read_adapter(saved)
    refuse_several(config)
    place = find(base)
    _refuse_quantised(place)
    adapted = load(load_base(place), saved)
    model = adapted.merge_and_unload(safe_merge=True)
    with new_folder(out) as draft:
        model.save_pretrained(draft)
        copied = copy_tokenizer(place, draft)
    dtype = str(model.dtype).removeprefix("torch.")
    return Merged(len(config.modules), dtype, tuple(copied))


def _refuse_quantised(base: Place) -> None:
    method = quantised(read_config(base))
    if method is not None:
        raise NotExportable(
            f"{shown(base.name)} is quantised ({shown(method)}), and a sum would have to be "
            "quantised anew; merge into the model in its original precision"
        )
