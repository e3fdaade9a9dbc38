"""A saved mixture: its config, its weights on a base, and what is refused of it."""

from typing import Any

from peft import PeftConfig, PeftModel
from safetensors import SafetensorError, safe_open

from analyzer.text import shown
from trainer.errors import BadAdapter, ModelMismatch, NotExportable, TrainerError
from trainer.exports.places import Place, first_line
from trainer.tuner import MixtureConfig
from trainer.tuner.facts import load_adapter

WEIGHTS = "adapter_model.safetensors"


def read_adapter(adapter: Place) -> MixtureConfig:
    """The config of an adapter of mixtures. Raises BadAdapter."""
    config = read_any(adapter)
    if not isinstance(config, MixtureConfig) or not config.modules:
        kind = getattr(config.peft_type, "value", config.peft_type)
        raise BadAdapter(
            f"{shown(adapter.name)} is a PEFT adapter of type {shown(kind)}, not a mixture of LoRA "
            "experts; PEFT's own merge_and_unload is for those"
        )
    return config


def read_any(adapter: Place) -> Any:
    """The PeftConfig of an adapter of any method that PEFT knows. Raises BadAdapter."""
    for file in ("adapter_config.json", WEIGHTS):
        if not (adapter.folder / file).is_file():
            raise BadAdapter(
                f"{shown(adapter.name)} has no {file}; pass the folder that save_pretrained wrote"
            )
    try:
        config = PeftConfig.from_pretrained(str(adapter.folder))
    except TrainerError:
        raise
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise BadAdapter(
            f"adapter_config.json of {shown(adapter.name)} cannot be read: {first_line(error)}; "
            "restore the file"
        ) from error
    return config


def refuse_several(config: MixtureConfig) -> None:
    """Raise NotExportable where any module has more than one expert."""
    several = [name for name, entry in config.modules.items() if entry["experts"] > 1]
    if several:
        raise NotExportable(
            f"{len(several)} of {len(config.modules)} modules have more than one expert, "
            f"{shown(several[0])} ({config.modules[several[0]]['experts']}) the first of them; a "
            "router decides by token, so they are no fixed weight. `tailora to-lora` makes a plain "
            "LoRA of the mean gates, and says what it costs"
        )


def load(model: Any, adapter: Place) -> PeftModel:
    """The model with the adapter on it. Raises BadAdapter, ModelMismatch."""
    try:
        found = load_adapter(model, adapter.folder)
    except TrainerError:
        raise
    except (OSError, ValueError, KeyError, RuntimeError, SafetensorError) as error:
        raise BadAdapter(
            f"the weights of {shown(adapter.name)} cannot be loaded: {first_line(error)}; save "
            "the adapter again, or fetch it anew"
        ) from error
    _check_whole(found, adapter, type(model).__name__)
    return found


def _check_whole(model: PeftModel, adapter: Place, kind: str) -> None:
    """PEFT drops a module that was trained whole in silence where the model has none.

    For classifiers it lists names that a head may have; the file has those that were trained.
    """
    names = [f".{name}" for name, _ in model.named_modules()]
    with safe_open(adapter.folder / WEIGHTS, framework="pt") as file:
        held = list(file.keys())
    for wanted in getattr(model.peft_config["default"], "modules_to_save", None) or ():
        trained = any(f".{wanted}." in name for name in held)
        if trained and not any(name.endswith(f".{wanted}") for name in names):
            raise ModelMismatch(
                f"the adapter holds {shown(wanted)}, trained whole, and a {kind} has none; save "
                "the base model with the head that it was trained with, and pass that"
            )
