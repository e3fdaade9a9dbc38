"""The base model that an adapter is for, in its checkpoint's own class and dtype."""

import logging
import shutil
import warnings
from pathlib import Path
from typing import Any

import torch
import transformers

from analyzer.errors import BadModel
from analyzer.text import listed, shown
from trainer.errors import NotExportable
from trainer.exports.places import Place, first_line

_TOKENIZER = (
    "tokenizer.json", "tokenizer_config.json", "tokenizer.model", "special_tokens_map.json",
    "added_tokens.json", "vocab.json", "vocab.txt", "merges.txt", "spiece.model",
    "sentencepiece.bpe.model", "chat_template.jinja", "chat_template.json",
    "preprocessor_config.json", "processor_config.json",
)  # fmt: skip
"""Files that turn texts (or images) into what the model takes."""


def silence() -> None:
    """No bars and no advice of libraries on stderr: for a command, which says what counts.

    Call it before peft is imported.
    """
    transformers.logging.set_verbosity_error()
    transformers.logging.disable_progress_bar()
    logging.getLogger("bitsandbytes").setLevel(logging.ERROR)
    warnings.filterwarnings("ignore", category=FutureWarning)


def read_config(base: Place) -> Any:
    """Its PreTrainedConfig. Raises BadModel; code that comes with a model is never run."""
    try:
        return transformers.AutoConfig.from_pretrained(
            base.folder, local_files_only=True, trust_remote_code=False
        )
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise BadModel(
            f"the config.json of {shown(base.name)} cannot be used: {first_line(error)}"
        ) from error


def quantised(config: Any) -> str | None:
    """How the weights are quantised; None where they are not."""
    for part in (config, config.get_text_config()):
        found = getattr(part, "quantization_config", None)
        if found is not None:
            method = found.get("quant_method") if isinstance(found, dict) else None
            return str(method or "quantised")
    return None


def load_base(base: Place, device: torch.device | str = "cpu") -> Any:
    """The PreTrainedModel, of the class that config.json names, ready to be measured.

    Raises BadModel where transformers has no such class, or the files lack weights of it.
    """
    config = read_config(base)
    words: dict[str, Any] = {"device_map": {"": str(device)}} if quantised(config) else {}
    try:
        model, found = _class_of(config, base).from_pretrained(
            base.folder, config=config, dtype="auto", use_safetensors=True, local_files_only=True,
            output_loading_info=True, **words,
        )  # fmt: skip
    except (OSError, ValueError, RuntimeError, ImportError) as error:
        raise BadModel(
            f"transformers cannot load {shown(base.name)}: {first_line(error)}"
        ) from error
    if missing := sorted(found["missing_keys"]):
        raise BadModel(
            f"the files of {shown(base.name)} lack {listed(missing, 3)}, which transformers would "
            "fill with random numbers; fetch the model again"
        )
    return (model if words else model.to(device)).eval()


def _class_of(config: Any, base: Place) -> Any:
    names = list(getattr(config, "architectures", None) or ())
    kind: Any = getattr(transformers, str(names[0]), None) if names else None
    parent: Any = transformers.PreTrainedModel
    ours = isinstance(kind, type) and issubclass(kind, parent)
    if ours and isinstance(config, kind.config_class):
        return kind
    named = f"the class {shown(names[0])}" if names else "no class (architectures)"
    raise BadModel(
        f"config.json of {shown(base.name)} names {named}, and transformers "
        f"{transformers.__version__} cannot load that; code that comes with a model is not run"
    )


def load_tokenizer(base: Place) -> Any:
    """Its tokenizer. Raises NotExportable where it has none."""
    if not any((base.folder / name).is_file() for name in _TOKENIZER):
        raise NotExportable(
            f"{shown(base.name)} has no tokenizer, so no text can be measured; put the "
            "tokenizer's files (tokenizer.json, tokenizer_config.json) beside its config.json"
        )
    try:
        return transformers.AutoTokenizer.from_pretrained(
            base.folder, local_files_only=True, trust_remote_code=False
        )
    except (OSError, ValueError, KeyError, ImportError) as error:
        raise NotExportable(
            f"the tokenizer of {shown(base.name)} cannot be loaded: {first_line(error)}"
        ) from error


def copy_tokenizer(base: Place, out: Path) -> list[str]:
    """Copy the tokenizer's files as they are; their names."""
    found = [name for name in _TOKENIZER if (base.folder / name).is_file()]
    for name in found:
        shutil.copyfile(base.folder / name, out / name)
    return found
