"""Export mixtures as a plain PEFT LoRA, and measure what that costs."""

from pathlib import Path
from typing import Any

from peft import PeftModel
from pydantic import BaseModel, ConfigDict

from analyzer.eigenvalues import choose_device
from analyzer.text import shown
from trainer.errors import NotExportable
from trainer.exports.adapter import load, read_adapter
from trainer.exports.base import load_base, load_tokenizer
from trainer.exports.lora import (
    largest_rank,
    load_lora,
    lora_config,
    lora_weights,
    mean_gates,
    save_lora,
    warnings_of,
)
from trainer.exports.losses import (
    Batch,
    check_language_model,
    longest_of,
    make_batches,
    mean_loss,
    predicted,
)
from trainer.exports.places import Place, check_new, find, new_folder
from trainer.exports.texts import read_texts


class LoraExport(BaseModel):
    """What was exported, and mean losses per predicted token (in nats) on the same texts."""

    model_config = ConfigDict(frozen=True)

    modules: int
    largest_rank: int
    texts: int
    tokens: int
    """Predicted tokens: all but the first of each text."""

    base_loss: float
    mixture_loss: float
    lora_loss: float
    """Of the files as written, loaded through PEFT."""

    gap: float
    """lora_loss − mixture_loss: what the export costs."""

    warnings: tuple[str, ...] = ()


def to_lora(
    adapter: str,
    base: str,
    data: Path,
    out: Path,
    *,
    max_length: int = 512,
    batch_size: int = 8,
    device: str = "auto",
) -> LoraExport:
    """Write a plain LoRA with every expert at its mean gate over `data` into `out`.

    `adapter` and `base` are folders or Hub ids, `data` as `read_texts` takes it; texts are cut to
    `max_length` tokens. Nothing is written where it fails. Raises InvalidTexts; NotExportable for a
    base that is no causal language model or has no tokenizer, and an `out` that is not empty;
    BadAdapter, ModelMismatch; ModelNotFound, HubUnavailable, BadModel and InvalidOption.
    """
    check_new(out)
    texts = read_texts(data)
    saved = find(adapter)
    config = read_adapter(saved)
    place = find(base)
    tokenizer = load_tokenizer(place)
    model = load_base(place, choose_device(device))
    check_language_model(model, shown(base))
    length = min(max_length, longest_of(model.config) or max_length)
    batches = make_batches(texts, tokenizer, max_length=length, batch_size=batch_size)
    _check_ids(model, batches, place)
    base_loss = mean_loss(model, batches)
    adapted = load(model, saved)
    mixture_loss = mean_loss(adapted, batches)
    made = lora_config(config, adapted, place)
    weights = lora_weights(adapted, mean_gates(adapted))
    with new_folder(out) as draft:
        save_lora(weights, made, draft)
        lora_loss = mean_loss(load_lora(_bare(adapted), draft, config), batches)
    return LoraExport(
        modules=len(config.modules),
        largest_rank=largest_rank(config),
        texts=sum(len(batch.ids) for batch in batches),
        tokens=predicted(batches),
        base_loss=base_loss,
        mixture_loss=mixture_loss,
        lora_loss=lora_loss,
        gap=lora_loss - mixture_loss,
        warnings=warnings_of(config),
    )


def _bare(adapted: PeftModel) -> Any:
    model = adapted.unload()
    vars(model).pop("peft_config", None)  # older PEFT leaves it, and would warn of a second adapter
    return model


def _check_ids(model: Any, batches: list[Batch], base: Place) -> None:
    known = model.get_input_embeddings().weight.shape[0]
    largest = max(int(batch.ids.max()) for batch in batches)
    if largest >= known:
        raise NotExportable(
            f"the tokenizer of {shown(base.name)} makes token {largest}, and the model knows "
            f"{known}; take the tokenizer that belongs to it"
        )
