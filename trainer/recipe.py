"""The recipe: what a training run is told. `tailora.recipe/1`; no torch.

Sections are small records; a preset (`trainer.presets`) gives the values of a paper, and what the
user says takes their place.
"""

import hashlib
import json
from typing import Final, Literal, Self

from pydantic import Field, model_validator

from allocator.plan import Plan
from analyzer.outline import Document, Record

Task = Literal["language", "classification", "choice"]
PresetName = Literal["mola", "alphalora", "adamole", "lora_dropout", "lora", "prompt"]
Kind = Literal["mixture", "lora", "prompt"]
Precision = Literal["auto", "float32", "bfloat16"]
Quantisation = Literal["none", "nf4", "int8"]


class Base(Record):
    """The model that is adapted."""

    path: str = Field(description="folder, or Hub id")
    revision: str | None = Field(None, description="commit; null for a folder")
    weights: tuple[str, ...] = Field(description="sorted sha256 of its files, as in the plan")
    precision: Precision = Field("auto", description="auto: that of the files")
    quantisation: Quantisation = Field("none", description="of the base's linear layers")


class MixtureOptions(Record):
    """What is put on the base, and how the plan's mixtures work; see `docs/mixtures.md`."""

    kind: Kind = Field(
        "mixture",
        description="lora: one plain LoRA a module with as many parameters; prompt: a soft prompt "
        "before the tokens, and nothing of the plan's mixtures",
    )
    gate: Literal["topk", "threshold", "dense"] = "topk"
    threshold_max: float | None = Field(None, gt=0, le=1)
    balance: Literal["sound", "adamole", "mola", "none"] = "sound"
    balance_coefficient: float = Field(0.001, ge=0)
    mask: Literal["none", "dropout", "lora_dropout"] = "none"
    mask_rate: float = Field(0.0, ge=0, lt=1)
    mask_rescale: bool = False
    mask_draws: int = Field(1, ge=1, description="passes of a micro-batch, each with its own mask")
    init: Literal["standard", "singular"] = "standard"
    form: Literal["dense", "grouped", "auto"] = "dense"

    @model_validator(mode="after")
    def _applies(self) -> Self:
        for name, field in type(self).model_fields.items():
            why = misplaced(name, self.kind)
            if why is not None and getattr(self, name) != field.default:
                raise ValueError(why)
        if self.kind == "lora" and self.mask == "lora_dropout":
            raise ValueError(
                "mask lora_dropout does not apply to kind lora, whose masks are element-wise; "
                "take mixture.mask=dropout, or leave mixture.kind"
            )
        return self


def misplaced(option: str, kind: Kind) -> str | None:
    """Why an option of the mixture says nothing of this kind; None where it does."""
    if kind == "mixture" or option == "kind" or (kind == "lora" and option in _OF_LORA):
        return None
    return (
        f"{option} does not apply to kind {kind}: leave it out, or begin with the preset {kind}, "
        "which has none of it"
    )


_OF_LORA: Final = ("mask", "mask_rate", "mask_draws")


class Prompt(Record):
    """A soft prompt of low rank: tokens × width = (tokens × rank) · (rank × width)."""

    tokens: int = Field(100, ge=1, description="virtual tokens before those of a sample")
    rank: int = Field(10, ge=1, description="of the prompt's matrix; at most tokens")

    @model_validator(mode="after")
    def _low(self) -> Self:
        if self.rank > self.tokens:
            raise ValueError(
                f"a rank of {self.rank} is more than a prompt of {self.tokens} tokens can have; "
                "make it smaller"
            )
        return self


class Data(Record):
    """Where samples come from, and what becomes of them."""

    train: str = Field(description="file (.jsonl, .csv, .parquet), or folder of a saved dataset")
    held_out: str | None = Field(
        None, description="the same for evaluation; null: a share of train"
    )
    held_out_share: float = Field(0.1, gt=0, lt=1, description="where held_out is null")
    split_seed: int = Field(0, ge=0, description="of that share, whatever the recipe's seed")
    sums: tuple[str, ...] = Field(description="sha256 of what train and held_out hold")
    length: int = Field(256, ge=8, description="tokens of a sample at most; longer ones are cut")
    labels: tuple[str, ...] | None = Field(None, description="classes, in the head's order")
    packing: bool = Field(
        False, description="several samples in a sequence of `length` tokens, none seeing another"
    )


class Optimiser(Record):
    """AdamW."""

    learning_rate: float = Field(gt=0, description="the largest, which warm-up ends with")
    weight_decay: float = Field(0.0, ge=0)
    beta1: float = Field(0.9, ge=0, lt=1)
    beta2: float = Field(0.999, ge=0, lt=1)
    epsilon: float = Field(1e-8, gt=0)
    largest_gradient: float = Field(1.0, gt=0, description="norm to which gradients are cut")


class Schedule(Record):
    """How long, in which portions."""

    shape: Literal["linear", "constant", "cosine"] = "linear"
    warmup_steps: int = Field(0, ge=0)
    warmup_share: float | None = Field(
        None, ge=0, le=0.5, description="of all steps; instead of warmup_steps"
    )
    epochs: float = Field(1.0, gt=0, description="how often all samples are seen")
    steps: int | None = Field(None, ge=1, description="instead of epochs")
    batch: int = Field(
        16, ge=1, description="samples (packed: sequences) of a step, over all processes"
    )
    micro_batch: int = Field(4, ge=1, description="those of one pass of one process")

    @model_validator(mode="after")
    def _one_warmup(self) -> Self:
        if self.warmup_steps and self.warmup_share is not None:
            raise ValueError("both warmup_steps and warmup_share are given; leave one out")
        return self

    @model_validator(mode="after")
    def _divides(self) -> Self:
        if self.batch % self.micro_batch:
            raise ValueError(
                f"a batch of {self.batch} is no whole number of micro-batches of "
                f"{self.micro_batch}; change one of them"
            )
        return self


class Checkpoints(Record):
    """What is kept on the way."""

    every: int = Field(100, ge=1, description="steps between checkpoints")
    keep: int = Field(2, ge=1, description="of the last ones")


class Recipe(Document):
    """Everything that decides what a training run computes. `tailora.recipe/1`."""

    schema_id: Literal["tailora.recipe/1"] = Field("tailora.recipe/1", alias="schema")
    preset: PresetName
    task: Task
    base: Base
    plan: Plan
    mixture: MixtureOptions
    prompt: Prompt = Prompt()
    data: Data
    optimiser: Optimiser
    schedule: Schedule
    checkpoints: Checkpoints = Checkpoints()
    checkpointing: bool = Field(False, description="activations are computed twice, not kept")
    seed: int = Field(0, ge=0, description="of initialisation, masks and the order of samples")

    @model_validator(mode="after")
    def _goes_together(self) -> Self:
        kind = self.mixture.kind
        if kind != "prompt" and self.prompt != Prompt():
            raise ValueError(
                f"the section prompt does not apply to kind {kind}; take the preset prompt"
            )
        if self.data.packing and self.task == "classification":
            raise ValueError(
                "data.packing does not apply to classification, which has one class a sequence; "
                "leave it out"
            )
        if self.data.packing and kind == "prompt":
            raise ValueError(
                "data.packing does not apply to kind prompt: only the first sample of a sequence "
                "would see the prompt; leave it out"
            )
        return self

    @property
    def digest(self) -> str:
        """sha256 over all of it but where files lie, as 64 hex digits."""
        left_out = {"base": {"path"}, "data": {"train", "held_out"}, "plan": {"provenance"}}
        content = self.model_dump(mode="json", exclude=left_out)
        canonical = json.dumps(content, sort_keys=True, separators=(",", ":"), allow_nan=False)
        return hashlib.sha256(canonical.encode()).hexdigest()

    def to_json(self) -> str:
        """The recipe as a JSON document."""
        return self.model_dump_json(indent=2)
