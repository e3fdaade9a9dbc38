"""Samples side by side."""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from trainer.dataset.encode import IGNORED, Sample
from trainer.dataset.pack import Packed


@dataclass(frozen=True)
class Collate:
    """Pads on the right to the longest of the batch.

    Padding is told by the mask, never by its id, which may be that of EOS.
    """

    pad_id: int

    def __call__(self, samples: Sequence[Sample]) -> dict[str, Tensor]:
        """`input_ids` and `attention_mask`, samples × tokens; `labels` too, −100 on padding and at
        the first token: nothing stands before it, or a soft prompt, which is to change no loss.

        Classification: `labels` has one class a sample.
        """
        longest = max(len(sample.input_ids) for sample in samples)
        ids = [_padded(sample.input_ids, longest, self.pad_id) for sample in samples]
        mask = [_padded([1] * len(sample.input_ids), longest, 0) for sample in samples]
        labels = [
            sample.labels
            if isinstance(sample.labels, int)
            else _padded([IGNORED, *sample.labels[1:]], longest, IGNORED)
            for sample in samples
        ]
        named = {"input_ids": ids, "attention_mask": mask, "labels": labels}
        return {name: torch.tensor(values) for name, values in named.items()}


@dataclass(frozen=True)
class CollatePacked:
    """Packed sequences side by side; padding is told by the mask, and is a sample of its own."""

    pad_id: int

    def __call__(self, sequences: Sequence[Packed]) -> dict[str, Tensor]:
        """`input_ids`, `attention_mask`, `labels` and `position_ids`, sequences × tokens.

        The mask tells which tokens count, and not which see each other: see `keep_apart`.
        """
        longest = max(len(sequence.input_ids) for sequence in sequences)
        rooms = [range(longest - len(sequence.input_ids)) for sequence in sequences]
        pairs = list(zip(sequences, rooms, strict=True))
        named = {
            "input_ids": [_padded(each.input_ids, longest, self.pad_id) for each in sequences],
            "attention_mask": [
                _padded([1] * len(each.input_ids), longest, 0) for each in sequences
            ],
            "labels": [_padded(each.labels, longest, IGNORED) for each in sequences],
            "position_ids": [[*each.position_ids, *room] for each, room in pairs],
        }
        return {name: torch.tensor(values) for name, values in named.items()}


def _padded(values: list[int], length: int, filling: int) -> list[int]:
    return values + [filling] * (length - len(values))
