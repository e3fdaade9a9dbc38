"""Answers as a model generates them, greedily, against those of the samples."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from itertools import groupby
from typing import Any

import torch
import transformers
from peft import PeftModel
from torch import Tensor

from trainer.dataset.prompts import Prompt
from trainer.exports.losses import longest_of


def exact_matches(
    model: Any, prompts: Sequence[Prompt], tokenizer: Any, batch: int, new_tokens: int
) -> list[bool]:
    """For each prompt whether the answer is the wanted one, outer blanks left out of both.

    Greedy, with a KV cache, without masks. Answers end at EOS or at the mark with which the samples
    end, and are cut at `new_tokens` and where the model has no more positions. Within `measuring`.
    """
    inner = model.get_base_model() if isinstance(model, PeftModel) else model
    soft = _soft_tokens(model)
    ends = _ends(inner, prompts, tokenizer)
    found: dict[int, bool] = {}
    with _greedy(inner, tokenizer.pad_token_id, ends):
        for places in _batches([len(prompt.ids) for prompt in prompts], batch, even=soft > 0):
            part = [prompts[place] for place in places]
            answers = _answers(model if soft else inner, part, tokenizer, ends, new_tokens, soft)
            for place, answer in zip(places, answers, strict=True):
                found[place] = answer == prompts[place].answer
    return [found[place] for place in range(len(prompts))]


def _soft_tokens(model: Any) -> int:
    """How many virtual tokens an adapter puts before those of a text; PEFT's own model does it."""
    config = model.active_peft_config if isinstance(model, PeftModel) else None
    return int(config.num_virtual_tokens) if config is not None and config.is_prompt_learning else 0


def _batches(lengths: Sequence[int], batch: int, *, even: bool) -> Iterator[list[int]]:
    """Places of texts, the shortest first; `even`: of one length each.

    Padding on the left would lie between a soft prompt and the text, and shift the text's places.
    """
    order = sorted(range(len(lengths)), key=lambda place: lengths[place])
    for _, same in groupby(order, key=lambda place: lengths[place] if even else 0):
        places = list(same)
        for start in range(0, len(places), batch):
            yield places[start : start + batch]


def _ends(model: Any, prompts: Sequence[Prompt], tokenizer: Any) -> list[int]:
    own = model.generation_config.eos_token_id
    known = own if isinstance(own, list) else [own]
    marks = {prompt.end for prompt in prompts} | {tokenizer.eos_token_id, *known}
    return sorted(mark for mark in marks if mark is not None)


@contextmanager
def _greedy(model: Any, pad_id: int, ends: list[int]) -> Iterator[None]:
    """A model's own settings (sampling, repetition penalties) are set aside meanwhile."""
    own = model.generation_config
    model.generation_config = transformers.GenerationConfig(
        do_sample=False, pad_token_id=pad_id, eos_token_id=ends
    )
    try:
        yield
    finally:
        model.generation_config = own


def _answers(
    model: Any,
    prompts: Sequence[Prompt],
    tokenizer: Any,
    ends: list[int],
    new_tokens: int,
    soft: int,
) -> list[str]:
    lengths = [len(prompt.ids) for prompt in prompts]
    longest, filling = max(lengths), tokenizer.pad_token_id
    room = (longest_of(model.config) or soft + longest + new_tokens) - longest - soft
    ids = [[filling] * (longest - len(prompt.ids)) + prompt.ids for prompt in prompts]
    mask = [[0] * (longest - length) + [1] * length for length in lengths]
    made: Tensor = model.generate(
        input_ids=torch.tensor(ids, device=model.device),
        attention_mask=torch.tensor(mask, device=model.device),
        max_new_tokens=min(new_tokens, room),
    )
    return [_text(row[longest:].tolist(), tokenizer, ends) for row in made]


def _text(ids: list[int], tokenizer: Any, ends: list[int]) -> str:
    """Up to the first end."""
    stop = next((at for at, token in enumerate(ids) if token in ends), len(ids))
    return str(tokenizer.decode(ids[:stop], skip_special_tokens=True)).strip()
