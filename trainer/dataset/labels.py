"""The classes of a file."""

import re
from collections.abc import Sequence

from trainer.dataset.examples import Example, Labelled
from trainer.errors import InvalidData


def labels_of(examples: Sequence[Example], given: Sequence[str] | None) -> tuple[str, ...]:
    """The given classes, else those of the examples: sorted, as numbers where all are numbers.

    Raises InvalidData where there are fewer than two, or one is given twice.
    """
    if given is not None:
        if len(set(given)) < len(given):
            raise InvalidData("the recipe's labels name a class twice; remove one")
        labels = list(given)
    else:
        found = {example.label for example in examples if isinstance(example, Labelled)}
        numbers = all(re.fullmatch("-?[0-9]{1,18}", label) for label in found)
        labels = sorted(found, key=lambda label: (int(label) if numbers else 0, label))
    if len(labels) < 2:
        raise InvalidData(
            f"there is only one class ({', '.join(labels) or 'none'}); give rows of at least two"
        )
    return tuple(labels)
