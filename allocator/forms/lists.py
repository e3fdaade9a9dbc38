"""Bare lists of experts, one number a layer: `1,3,5`, `1 3 5` or a JSON list."""

from allocator.forms.draft import Draft, Reading, alike
from allocator.forms.texts import Files, as_text, only, whole_numbers


def read(files: Files, reading: Reading) -> Draft:
    """One count a layer. Raises UnreadablePlan."""
    counts = whole_numbers(as_text(only(files, "list")), "the list")
    places = reading.layers(len(counts), "the list")
    mixtures = reading.mixtures(counts)
    return Draft(tuple(alike(places, [], mixtures)), reading.alpha(None))
