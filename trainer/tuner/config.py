"""What adapter_config.json holds of a mixture."""

import hashlib
import json
from dataclasses import dataclass, field
from importlib.metadata import version
from pathlib import Path
from typing import Any, Union, get_args

from peft.config import PeftConfig
from peft.utils.peft_types import PeftType

from allocator.plan import Plan
from allocator.read import read_plan
from trainer.balance import BalanceName
from trainer.errors import BadAdapter, InvalidMixture
from trainer.gates import GateName
from trainer.grouped import GroupedName
from trainer.initial import InitName
from trainer.masks import Mask, MaskName
from trainer.shape import MixtureShape

FORMAT = 1

_CHOICES = {
    "gate": get_args(GateName),
    "balance": get_args(BalanceName),
    "mask": get_args(MaskName),
    "init": get_args(InitName),
    "form": get_args(GroupedName),
}


@dataclass
class MixtureConfig(PeftConfig):
    """A PEFT config: the plan as resolved for a model, and how its mixtures work.

    Make one with `from_plan`; `get_peft_model` resolves it. Raises InvalidMixture for values that
    cannot be, BadAdapter for a file that was changed by hand or is of a newer format.
    """

    modules: dict[str, dict[str, Any]] = field(
        default_factory=dict,
        metadata={"help": "experts, top_k, rank, lora_alpha and shape (out × in) by live name"},
    )
    gate: GateName = field(default="topk", metadata={"help": "topk, threshold or dense"})
    threshold_max: float | None = field(
        default=None, metadata={"help": "largest threshold; null: 1/E of each module"}
    )
    balance: BalanceName = field(
        default="sound", metadata={"help": "balance loss: sound, adamole, mola or none"}
    )
    balance_coefficient: float = field(default=0.001, metadata={"help": "factor of that loss"})
    mask: MaskName = field(default="none", metadata={"help": "none, dropout or lora_dropout"})
    mask_rate: float = field(default=0.0, metadata={"help": "probability of being dropped"})
    mask_rescale: bool = field(
        default=False, metadata={"help": "lora_dropout: divide what is kept by 1 − rate"}
    )
    init: InitName = field(default="standard", metadata={"help": "standard or singular"})
    form: GroupedName = field(default="dense", metadata={"help": "dense, grouped or auto"})
    modules_to_save: list[str] | None = field(
        default=None, metadata={"help": "other modules that are trained and saved whole"}
    )
    target_modules: Union[list[str], set[str], None] = field(  # noqa: UP007 - PEFT reads it
        default=None, metadata={"help": "names of adapted modules, as PEFT wants them"}
    )
    plan_digest: str | None = field(default=None, metadata={"help": "digest of the plan"})
    plan_model: str | None = field(default=None, metadata={"help": "model of the plan"})
    plan_revision: str | None = field(default=None, metadata={"help": "its commit"})
    format: int = field(default=FORMAT, metadata={"help": "of this file"})
    versions: dict[str, str] = field(default_factory=dict, metadata={"help": "that wrote it"})
    digest: str | None = field(default=None, metadata={"help": "sha256 over what must not change"})
    plan: Plan | None = field(default=None, repr=False, metadata={"help": "until resolved"})

    def __post_init__(self) -> None:
        """Check every value, and the digest where there is one."""
        super().__post_init__()
        self.peft_type = PeftType["TAILORA"]
        if self.format > FORMAT:
            raise BadAdapter(
                f"the adapter is of format {self.format}, and this version of TaiLoRA reads up to "
                f"{FORMAT}; upgrade tailora"
            )
        for name, choices in _CHOICES.items():
            if getattr(self, name) not in choices:
                value = getattr(self, name)
                raise InvalidMixture(f"{name} is {value!r}; give one of {', '.join(choices)}")
        if self.balance == "adamole" and self.gate != "threshold":
            raise InvalidMixture("the adamole balance loss needs gate='threshold'; use sound")
        if self.threshold_max is not None and not 0 < self.threshold_max <= 1:
            raise InvalidMixture(f"threshold_max is {self.threshold_max}; give 0 < value ≤ 1")
        if not 0 <= self.balance_coefficient < float("inf"):
            raise InvalidMixture(
                f"balance_coefficient is {self.balance_coefficient}; give 0 or more"
            )
        Mask(self.mask, self.mask_rate, self.mask_rescale)
        for name in self.modules:
            self.shape_of(name)
        if self.digest is not None and self.digest != self._digest():
            raise BadAdapter(
                "adapter_config.json was changed after it was written: its experts, top_k, ranks "
                "or gate are not those that were trained; restore the file, or train anew from a "
                "plan"
            )

    @classmethod
    def from_plan(cls, plan: Plan | str | Path, **options: Any) -> "MixtureConfig":
        """A config for what a plan, or a file of one, gives each module; `options` as the fields.

        It is matched with the model by `get_peft_model`. Raises UnreadablePlan for a bad file.
        """
        found = plan if isinstance(plan, Plan) else read_plan(Path(plan).read_bytes())
        return cls(
            plan=found,
            plan_digest=found.digest,
            plan_model=found.model,
            plan_revision=found.revision,
            **options,
        )

    def shape_of(self, name: str) -> MixtureShape:
        """The mixture of one module. Raises BadAdapter where the file says nothing sensible."""
        entry = self.modules[name]
        try:
            words = {key: entry[key] for key in ("experts", "top_k", "rank", "lora_alpha")}
        except (KeyError, TypeError) as error:
            raise BadAdapter(
                f"modules in adapter_config.json lacks {error} for {name}; restore the file"
            ) from error
        try:
            return MixtureShape(**words)
        except InvalidMixture as error:
            raise InvalidMixture(f"{name}: {error}") from error

    def to_dict(self) -> dict[str, Any]:
        """What is saved: all fields but the plan, with digest and versions."""
        plan, self.plan = self.plan, None
        try:
            found = dict(super().to_dict())
        finally:
            self.plan = plan
        del found["plan"]
        found["target_modules"] = sorted(self.modules) or None
        found["digest"] = self._digest() if self.modules else None
        found["versions"] = {
            name: version(name) for name in ("tailora", "peft", "torch", "transformers")
        }
        return found

    def _digest(self) -> str:
        content = {
            "format": self.format,
            "gate": self.gate,
            "threshold_max": self.threshold_max,
            "modules": self.modules,
            "plan_digest": self.plan_digest,
        }
        canonical = json.dumps(content, sort_keys=True, separators=(",", ":"), allow_nan=False)
        return hashlib.sha256(canonical.encode()).hexdigest()
