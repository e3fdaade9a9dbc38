"""The options of a plan as fields of a form, by the schema of the request."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, get_args

from worker.requests import PlanWords

COUNTS = ("rounding", "min_experts", "max_experts", "top_k", "per_module")
ADAPTER = ("rank", "lora_alpha")
NEW_PLAN = MappingProxyType({
    "Counts": COUNTS,
    "Adapter": ADAPTER,
    "Which part of the model": ("modules", "stack"),
    "How to measure": (
        "aspect", "sample_rows", "sample_ratio", "sample_starts", "weighting", "precision",
        "solver", "ranged",
    ),
    "How sure the counts are": ("stability", "draws", "seed"),
})  # fmt: skip
SAME_ALPHAS = MappingProxyType({"Counts": COUNTS, "Adapter": ADAPTER})
"""Those of a plan from an analysis that is there: nothing is measured for them."""

_SHOWN = {"true": "yes", "false": "no"}


@dataclass(frozen=True, slots=True)
class Choice:
    """One of what a field may be."""

    value: str
    label: str


@dataclass(frozen=True, slots=True)
class OptionField:
    """A field: free text where there are no choices."""

    name: str
    about: str
    default: str
    """Empty where it is null."""

    choices: tuple[Choice, ...]

    @property
    def label(self) -> str:
        """What stands over the field."""
        return self.name.replace("_", " ").capitalize()


def option_field(name: str) -> OptionField:
    """The field of a word of the request."""
    field = PlanWords.model_fields[name]
    default = text_of(field.default)
    values = _values(field.annotation)
    if values and field.default is None:
        values = ("", *values)
    choices = tuple(Choice(value, _SHOWN.get(value, value) or "as it pays") for value in values)
    about = (field.description or "").replace("null: ", "empty: ").replace("true: ", "yes: ")
    return OptionField(name, about, default, choices)


def changed(groups: Mapping[str, Sequence[str]], values: Mapping[str, str]) -> bool:
    """Whether a value is another one than that which a field has by itself."""
    names = [name for group in groups.values() for name in group if name in values]
    return any(values[name] != option_field(name).default for name in names)


def text_of(value: Any) -> str:
    """A value as a field holds it."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, list | tuple):
        return ", ".join(map(str, value))
    if isinstance(value, float):
        return str(value).removesuffix(".0")
    return "" if value is None else str(value)


def _values(annotation: Any) -> tuple[str, ...]:
    """What a closed type holds; empty for any other."""
    if annotation is bool:
        return ("true", "false")
    inside = get_args(annotation)
    if bool in inside:
        return ("true", "false")
    return inside if inside and all(isinstance(each, str) for each in inside) else ()
