"""The recipe's fields in a form: the ones that most trainings set, and any other by its name."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from pydantic import BaseModel

from service.guard import check_json
from service.pages.options import text_of
from service.problems import Problem
from trainer.presets import PRESETS
from trainer.recipe import Recipe

SETTINGS: Final = (
    "schedule.epochs", "schedule.steps", "optimiser.learning_rate", "schedule.batch",
    "schedule.micro_batch", "data.length", "seed",
)  # fmt: skip
MORE: Final = "more"
"""The field of the form that holds any other setting, one a line."""


@dataclass(frozen=True, slots=True)
class Setting:
    """A field of the recipe that has a field of the form."""

    name: str
    label: str
    about: str
    default: str
    """Empty where it is the preset's, or null."""


def settings() -> tuple[Setting, ...]:
    """What the form shows."""
    return tuple(_setting(name) for name in SETTINGS)


def preset_words() -> dict[str, str]:
    """What each preset stands for, in a few words."""
    return {name: _preset(preset) for name, preset in PRESETS.items()}


def settings_of(fields: Mapping[str, str]) -> dict[str, Any]:
    """The settings that a form holds, as a request has them. Raises Problem."""
    found = {name: _value(fields[name]) for name in SETTINGS if name in fields}
    for line in filter(str.strip, fields.get(MORE, "").splitlines()):
        name, value = _line(line)
        if name in found:
            raise Problem("invalid_request", f"{name[:100]} is given twice; leave one out")
        found[name] = value
    return found


def _setting(name: str) -> Setting:
    section, _, field = name.rpartition(".")
    place: type[BaseModel] = Recipe
    if section:
        kind = Recipe.model_fields[section].annotation
        assert isinstance(kind, type)
        place = kind
    found = place.model_fields[field]
    of_preset = any(field in preset.get(section, ()) for preset in PRESETS.values())
    default = "" if of_preset or found.is_required() else text_of(found.default)
    label = field.replace("_", " ").capitalize()
    return Setting(name, label, found.description or "", default)


def _preset(preset: Mapping[str, Mapping[str, Any]]) -> str:
    mixture, schedule = preset["mixture"], preset["schedule"]
    kind = mixture.get("kind", f"{mixture.get('gate', 'topk')} gate")
    return (
        f"{kind}, learning rate {text_of(preset['optimiser']['learning_rate'])}, "
        f"{schedule['batch']} samples a step"
    )


def _line(text: str) -> tuple[str, Any]:
    name, equals, value = (part.strip() for part in text.partition("="))
    if not (name and equals and value):
        raise Problem(
            "invalid_request", f"{MORE}: {text[:60]} is no setting; write schedule.steps=100"
        )
    return name, _value(value)


def _value(text: str) -> Any:
    """What the text is as JSON; text where it is none that a request may hold."""
    try:
        return check_json(text.encode())
    except Problem:
        return text
