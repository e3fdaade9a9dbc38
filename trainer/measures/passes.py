"""Log-probabilities of tokens and of classes, by passes that leave a model as it was."""

import math
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional
from torch.nn.utils.rnn import pad_sequence

from trainer.dataset.collate import Collate
from trainer.dataset.encode import Sample
from trainer.errors import NotMeasurable
from trainer.mixture import Mixture
from trainer.tuner.facts import masks_on


def check_draws(model: Any, draws: int) -> None:
    """Raise NotMeasurable for draws of masks from a model that has none to draw."""
    if draws < 1:
        raise NotMeasurable(f"draws is {draws}; give 1 (no masks) or more")
    masked = any(isinstance(each, Mixture) and each.mask.of_weights for each in model.modules())
    if draws > 1 and not masked:
        raise NotMeasurable(
            f"{draws} draws were asked for, and the model has no LoRA Dropout to draw masks of; "
            "train with mixture.mask=lora_dropout, or leave the draws out"
        )


@contextmanager
def measuring(model: Any, draws: int = 1, seed: int = 0) -> Iterator[None]:
    """Evaluation mode without gradients; with several draws masks are drawn, from `seed` on.

    Modes of all modules, statistics of routers and the random state are put back. Raises
    NotMeasurable like `check_draws`.
    """
    check_draws(model, draws)
    modes = [(module, module.training) for module in model.modules()]
    counters = [module.counter for module in model.modules() if isinstance(module, Mixture)]
    counted = [counter.state for counter in counters]
    with ExitStack() as stack:
        stack.enter_context(torch.no_grad())
        if draws > 1:
            devices = [model.device] if model.device.type == "cuda" else []
            stack.enter_context(torch.random.fork_rng(devices))
            torch.manual_seed(seed)
            stack.enter_context(masks_on(model))
        model.eval()
        try:
            yield
        finally:
            for module, mode in modes:
                module.training = mode
            for counter, state in zip(counters, counted, strict=True):
                counter.state = state


def token_log_probabilities(
    model: Any, rows: Sequence[list[int]], pad_id: int, batch: int, draws: int = 1
) -> list[Tensor]:
    """For each row of token ids, ln p of every token but the first given those before it.

    Of several draws it is ln of the mean p. Within `measuring`. On the CPU, in float64.
    """
    found: dict[int, Tensor] = {}
    for places in _batches([len(row) for row in rows], batch):
        samples = [Sample(rows[place], rows[place]) for place in places]
        inputs = _inputs(model, samples, pad_id)
        lengths = [len(sample.input_ids) for sample in samples]
        passes = [_of_tokens(model, inputs, lengths) for _ in range(draws)]
        mean = _mean(passes)
        found |= {
            place: mean[row, : length - 1]
            for row, (place, length) in enumerate(zip(places, lengths, strict=True))
        }
    return [found[place] for place in range(len(rows))]


def class_log_probabilities(
    model: Any, samples: Sequence[Sample], pad_id: int, batch: int, draws: int = 1
) -> Tensor:
    """ln p of each class, samples × classes, as `token_log_probabilities`."""
    found: dict[int, Tensor] = {}
    for places in _batches([len(sample.input_ids) for sample in samples], batch):
        inputs = _inputs(model, [samples[place] for place in places], pad_id)
        passes = [
            functional.log_softmax(model(**inputs).logits.float(), dim=-1).double().cpu()
            for _ in range(draws)
        ]
        found |= dict(zip(places, _mean(passes), strict=True))
    return torch.stack([found[place] for place in range(len(samples))])


def _batches(lengths: Sequence[int], batch: int) -> list[list[int]]:
    """Places of rows, those of a length together."""
    order = sorted(range(len(lengths)), key=lambda place: lengths[place])
    return [order[start : start + batch] for start in range(0, len(order), batch)]


def _inputs(model: Any, samples: Sequence[Sample], pad_id: int) -> dict[str, Tensor]:
    inputs = Collate(pad_id)(samples)
    return {name: value.to(model.device) for name, value in inputs.items() if name != "labels"}


def _of_tokens(model: Any, inputs: dict[str, Tensor], lengths: Sequence[int]) -> Tensor:
    """Rows × tokens but the first; 0 on padding."""
    logits, ids = model(**inputs, use_cache=False).logits, inputs["input_ids"]
    logits = logits[:, -ids.shape[1] :]  # a soft prompt's come before the tokens'
    rows = [  # one at a time: float32 logits of a batch with a large vocabulary are gigabytes
        -functional.cross_entropy(
            logits[row, : length - 1].float(), ids[row, 1:length], reduction="none"
        )
        for row, length in enumerate(lengths)
    ]
    return pad_sequence([row.double().cpu() for row in rows], batch_first=True)


def _mean(passes: Sequence[Tensor]) -> Tensor:
    return torch.stack(list(passes)).logsumexp(dim=0) - math.log(len(passes))
