"""Several samples in one sequence, so that less of a batch is padding."""

from bisect import bisect_left, insort
from collections import defaultdict
from collections.abc import Sequence
from typing import NamedTuple

from trainer.dataset.encode import IGNORED, Sample


class Packed(NamedTuple):
    """Samples end to end. All lists have one entry a token."""

    input_ids: list[int]
    labels: list[int]
    """−100 at each sample's first token: the one before it is another sample's."""

    position_ids: list[int]
    """Of a token in its sample: each begins at 0."""


def pack(samples: Sequence[Sample], length: int) -> list[Packed]:
    """Sequences of at most `length` tokens; every sample is in one of them, whole.

    Best fit, the longest first: a sample goes where it leaves least room. So the order of samples
    counts among those of one length only, and no seed does.
    """
    order = sorted(range(len(samples)), key=lambda index: -len(samples[index].input_ids))
    sequences: list[list[int]] = []
    by_room: defaultdict[int, list[int]] = defaultdict(list)
    rooms: list[int] = []
    for index in order:
        size = len(samples[index].input_ids)
        at = bisect_left(rooms, size)
        if at == len(rooms):
            number, room = len(sequences), length
            sequences.append([])
        else:
            room = rooms[at]
            number = by_room[room].pop()
            if not by_room[room]:
                rooms.pop(at)
        sequences[number].append(index)
        left = room - size
        if not by_room[left]:
            insort(rooms, left)
        by_room[left].append(number)
    return [_packed([samples[index] for index in sorted(each)]) for each in sequences]


def _packed(samples: Sequence[Sample]) -> Packed:
    found = Packed([], [], [])
    for sample in samples:
        assert isinstance(sample.labels, list), "classes are refused by the recipe"
        found.input_ids.extend(sample.input_ids)
        found.labels.extend([IGNORED, *sample.labels[1:]])
        found.position_ids.extend(range(len(sample.input_ids)))
    return found
