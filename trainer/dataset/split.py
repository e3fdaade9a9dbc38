"""A share of the rows held out for evaluation, the same one every time."""

import hashlib
import json
from collections.abc import Sequence

from trainer.errors import InvalidData


def split(contents: Sequence[object], share: float, seed: int) -> tuple[list[int], list[int]]:
    """Indices that are trained on, and indices held out, both ascending.

    The rows are put in an order by sha256 of the seed and their canonical JSON, and the first
    ones are held out: about `share` of them, at least one. Equal rows stay on one side. Raises
    InvalidData where nothing would be left on a side.
    """
    groups: dict[str, list[int]] = {}
    for index, content in enumerate(contents):
        groups.setdefault(_digest(content, seed), []).append(index)
    if len(groups) < 2:
        raise InvalidData(
            f"{len(contents)} usable rows, {len(groups)} of them different: nothing can be held "
            "out for evaluation; give more rows, or a file of held-out ones"
        )
    wanted = min(max(1, round(share * len(contents))), len(contents) - 1)
    held: set[int] = set()
    for _, indices in sorted(groups.items()):
        if len(held) + len(indices) <= wanted:
            held.update(indices)
    if not held:  # every row stands more often than it may: the rarest
        held.update(min(sorted(groups.items()), key=lambda group: len(group[1]))[1])
    trained = [index for index in range(len(contents)) if index not in held]
    return trained, sorted(held)


def _digest(content: object, seed: int) -> str:
    canonical = json.dumps([seed, content], sort_keys=True, separators=(",", ":"), default=str)
    return hashlib.sha256(canonical.encode()).hexdigest()
