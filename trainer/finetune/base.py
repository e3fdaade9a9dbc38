"""The base model of a run, its files checked against the plan before they are loaded."""

from dataclasses import dataclass
from typing import Any

import torch
import transformers

from allocator.plan import Plan
from analyzer.errors import BadModel
from analyzer.source import open_source
from analyzer.text import listed, shown
from trainer.errors import ModelMismatch, NotExportable, TrainingStopped
from trainer.exports.base import load_tokenizer, read_config
from trainer.exports.places import Place, first_line
from trainer.recipe import Base, Precision, Quantisation, Task

_CLASSES: dict[Task, Any] = {
    "language": transformers.AutoModelForCausalLM,
    "choice": transformers.AutoModelForCausalLM,
    "classification": transformers.AutoModelForSequenceClassification,
}
_DTYPES: dict[Precision, Any] = {
    "auto": "auto",
    "float32": torch.float32,
    "bfloat16": torch.bfloat16,
}

_HEADS = ("classifier", "score")


@dataclass(frozen=True, slots=True)
class Loaded:
    """A base model, ready to be adapted."""

    model: Any
    tokenizer: Any
    new: tuple[str, ...]
    """Modules that the files do not hold, such as a new head: trained and saved whole."""


def check_weights(place: Place, plan: Plan) -> tuple[str, ...]:
    """The sorted sha256 of the model's files. Raises ModelMismatch unless they are the plan's."""
    found = weights_of(place)
    if plan.weights and found != plan.weights:
        raise ModelMismatch(
            f"the weights of {shown(place.name)} are not those that the plan was made from "
            f"({shown(plan.model or 'unknown')}); make the plan from these files"
        )
    return found


def weights_of(place: Place) -> tuple[str, ...]:
    """The sorted sha256 of a model's files. Raises BadModel."""
    source = open_source(str(place.folder))
    return tuple(sorted(source.sha256(file) for file in source.files))


def load(place: Place, base: Base, task: Task, labels: tuple[str, ...] | None) -> Loaded:
    """The model with the head of the task. Raises BadModel, TrainingStopped, NotExportable."""
    words: dict[str, Any] = {}
    if labels is not None:
        words["num_labels"] = len(labels)
        words["id2label"] = dict(enumerate(labels))
        words["label2id"] = {label: index for index, label in enumerate(labels)}
    config = read_config(place)
    tokenizer = _with_padding(load_tokenizer(place))
    if task == "classification":  # by it such heads find the last token
        words["pad_token_id"] = tokenizer.pad_token_id
    if base.quantisation != "none":
        words |= _quantised(base.quantisation)
    try:
        model, found = _CLASSES[task].from_pretrained(
            place.folder, dtype=_dtype(base.precision, config), use_safetensors=True,
            local_files_only=True, trust_remote_code=False, output_loading_info=True, **words,
        )  # fmt: skip
    except (OSError, ValueError, RuntimeError, ImportError) as error:
        raise BadModel(
            f"transformers cannot load {shown(place.name)} for {task}: {first_line(error)}"
        ) from error
    missing = sorted({_whole(name.rpartition(".")[0]) for name in found["missing_keys"]})
    if missing and task != "classification":
        raise BadModel(
            f"the files of {shown(place.name)} lack {listed(missing, 3)}, which would be random; "
            "fetch the model again"
        )
    return Loaded(model, tokenizer, tuple(missing))


def _whole(name: str) -> str:
    """The head that a module is of: PEFT trains a copy of that, and not of what is within."""
    parts = name.split(".")
    heads = [number for number, part in enumerate(parts, 1) if part in _HEADS]
    return ".".join(parts[: heads[0]]) if heads else name


def _dtype(precision: Precision, config: Any) -> Any:
    """float16 would need its losses scaled, and what underflows is lost in silence."""
    if precision == "auto" and str(config.dtype).removeprefix("torch.") == "float16":
        return torch.bfloat16
    return _DTYPES[precision]


def _with_padding(tokenizer: Any) -> Any:
    if tokenizer.pad_token_id is None:
        if tokenizer.eos_token_id is None:
            raise NotExportable("the tokenizer has neither a padding nor an end token; set one")
        tokenizer.pad_token = tokenizer.eos_token
    return tokenizer


def _quantised(name: Quantisation) -> dict[str, Any]:
    if not torch.cuda.is_available() and name == "int8":
        raise TrainingStopped("int8 bases are trained on a GPU, and there is none; use nf4")
    words: dict[str, Any] = {"load_in_8bit": True}
    if name == "nf4":
        words = {"load_in_4bit": True, "bnb_4bit_quant_type": "nf4"}
        if torch.cuda.is_available():
            words["bnb_4bit_compute_dtype"] = torch.bfloat16
    config: Any = transformers.BitsAndBytesConfig
    place = {"": torch.cuda.current_device() if torch.cuda.is_available() else "cpu"}
    return {"quantization_config": config(**words), "device_map": place}
