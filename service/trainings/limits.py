"""What a service trains at most: its disks and workers are others' too."""

from trainer.errors import InvalidRecipe
from trainer.recipe import Recipe

MOST = {
    "checkpoints.keep": 10,
    "data.length": 131_072,
    "mixture.mask_draws": 64,
    "prompt.tokens": 10_000,
    "schedule.batch": 65_536,
    "schedule.epochs": 10_000,
    "schedule.steps": 10_000_000,
}


def check_limits(recipe: Recipe) -> None:
    """Raise InvalidRecipe, with the field, for what would be too much."""
    for name, most in MOST.items():
        section, _, field = name.partition(".")
        value = getattr(getattr(recipe, section), field)
        if value is not None and value > most:
            raise InvalidRecipe(f"{name} is {value:g}, and {most:,} is the most here; take less")
