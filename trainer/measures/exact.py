"""Answers as a model generates them, greedily, against those of the samples."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
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
    ends = _ends(inner, prompts, tokenizer)
    order = sorted(range(len(prompts)), key=lambda place: len(prompts[place].ids))
    found: dict[int, bool] = {}
    with _greedy(inner, tokenizer.pad_token_id, ends):
        for start in range(0, len(order), batch):
            places = order[start : start + batch]
            part = [prompts[place] for place in places]
            answers = _answers(inner, part, tokenizer, ends, new_tokens)
            for place, answer in zip(places, answers, strict=True):
                found[place] = answer == prompts[place].answer
    return [found[place] for place in range(len(prompts))]


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
    model: Any, prompts: Sequence[Prompt], tokenizer: Any, ends: list[int], new_tokens: int
) -> list[str]:
    lengths = [len(prompt.ids) for prompt in prompts]
    longest, filling = max(lengths), tokenizer.pad_token_id
    room = (longest_of(model.config) or longest + new_tokens) - longest
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
