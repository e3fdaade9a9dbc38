"""Answers as a model generates them, greedily, against those of the samples."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import torch
import transformers
from peft import PeftModel
from torch import Tensor

from trainer.dataset.prompts import Prompt


def exact_matches(
    model: Any, prompts: Sequence[Prompt], tokenizer: Any, batch: int, new_tokens: int
) -> list[bool]:
    """For each prompt whether the answer is the wanted one, outer blanks left out of both.

    Greedy, with a KV cache, without masks. Answers end at EOS or at the mark with which the samples
    end, and are cut at `new_tokens`. Within `measuring`.
    """
    inner = model.get_base_model() if isinstance(model, PeftModel) else model
    ends = _ends(inner, prompts, tokenizer)
    order = sorted(range(len(prompts)), key=lambda place: len(prompts[place].ids))
    found: dict[int, bool] = {}
    with _greedy(inner, new_tokens, tokenizer.pad_token_id, ends):
        for start in range(0, len(order), batch):
            places = order[start : start + batch]
            answers = _answers(inner, [prompts[place] for place in places], tokenizer, ends)
            for place, answer in zip(places, answers, strict=True):
                found[place] = answer == prompts[place].answer
    return [found[place] for place in range(len(prompts))]


def _ends(model: Any, prompts: Sequence[Prompt], tokenizer: Any) -> list[int]:
    own = model.generation_config.eos_token_id
    known = own if isinstance(own, list) else [own]
    marks = {prompt.end for prompt in prompts} | {tokenizer.eos_token_id, *known}
    return sorted(mark for mark in marks if mark is not None)


@contextmanager
def _greedy(model: Any, new_tokens: int, pad_id: int, ends: list[int]) -> Iterator[None]:
    """A model's own settings (sampling, repetition penalties) are set aside meanwhile."""
    own = model.generation_config
    model.generation_config = transformers.GenerationConfig(
        max_new_tokens=new_tokens, do_sample=False, pad_token_id=pad_id, eos_token_id=ends
    )
    try:
        yield
    finally:
        model.generation_config = own


def _answers(model: Any, prompts: Sequence[Prompt], tokenizer: Any, ends: list[int]) -> list[str]:
    longest = max(len(prompt.ids) for prompt in prompts)
    lengths = [len(prompt.ids) for prompt in prompts]
    filling = tokenizer.pad_token_id
    ids = [[filling] * (longest - len(prompt.ids)) + prompt.ids for prompt in prompts]
    mask = [[0] * (longest - length) + [1] * length for length in lengths]
    made: Tensor = model.generate(
        input_ids=torch.tensor(ids, device=model.device),
        attention_mask=torch.tensor(mask, device=model.device),
    )
    return [_text(row[longest:].tolist(), tokenizer, ends) for row in made]


def _text(ids: list[int], tokenizer: Any, ends: list[int]) -> str:
    """Up to the first end."""
    stop = next((at for at, token in enumerate(ids) if token in ends), len(ids))
    return str(tokenizer.decode(ids[:stop], skip_special_tokens=True)).strip()
