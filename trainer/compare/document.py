"""What is compared: arms that differ in plan or mixture, and seeds. No torch."""

import hashlib
import json
from typing import Literal, Self

from pydantic import Field, model_validator

from allocator.variants import permuted
from analyzer.outline import Document, Record
from trainer.recipe import Recipe


class Arm(Record):
    """One of the ways to train: a run for each seed."""

    name: str = Field(
        pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,79}$", description="also of the folders of its runs"
    )
    recipe: Recipe = Field(description="of its runs; each puts in its own seed")
    permuted: bool = Field(
        False, description="the layers of the plan are put in another order, anew for each seed"
    )

    def recipe_of(self, seed: int) -> Recipe:
        """The recipe of one run."""
        plan = permuted(self.recipe.plan, seed) if self.permuted else self.recipe.plan
        return self.recipe.model_copy(update={"seed": seed, "plan": plan})


class Comparison(Document):
    """Arms on the same base and data, with the same seeds. `tailora.training_comparison/1`."""

    schema_id: Literal["tailora.training_comparison/1"] = Field(
        "tailora.training_comparison/1", alias="schema"
    )
    arms: tuple[Arm, ...] = Field(min_length=2)
    reference: str = Field(description="the arm that all others are compared with")
    seeds: tuple[int, ...] = Field(min_length=1)
    keep_adapters: bool = True

    @model_validator(mode="after")
    def _fits(self) -> Self:
        names = [arm.name for arm in self.arms]
        folded = [name.casefold() for name in names]
        twice = next((name for name in names if folded.count(name.casefold()) > 1), None)
        if twice is not None:
            raise ValueError(f"two arms are called {twice}; give each a name of its own")
        if self.reference not in names:
            raise ValueError(
                f"the reference {self.reference} is none of the arms: {', '.join(names)}"
            )
        if len(set(self.seeds)) < len(self.seeds) or min(self.seeds) < 0:
            raise ValueError("seeds are whole numbers from 0, each of them once")
        first = self.arms[0].recipe
        for arm in self.arms:
            for part in ("task", "base", "data"):
                if getattr(arm.recipe, part) != getattr(first, part):
                    raise ValueError(
                        f"arm {arm.name} has another {part} than {names[0]}; all arms share it"
                    )
        return self

    @property
    def runs(self) -> tuple[tuple[Arm, int], ...]:
        """Arm and seed of each run, all arms of a seed before the next seed."""
        return tuple((arm, seed) for seed in self.seeds for arm in self.arms)

    @property
    def digest(self) -> str:
        """sha256 over what decides the outcome, as 64 hex digits."""
        content = {
            "arms": [[arm.name, arm.recipe.digest, arm.permuted] for arm in self.arms],
            "reference": self.reference,
            "seeds": list(self.seeds),
        }
        return hashlib.sha256(json.dumps(content).encode()).hexdigest()

    def to_json(self) -> str:
        """The comparison as a JSON document."""
        return self.model_dump_json(indent=2)


def folder_of(arm: str, seed: int) -> str:
    """The name of a run's folder."""
    return f"{arm}-{seed}"
