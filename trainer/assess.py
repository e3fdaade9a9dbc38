"""How good a saved adapter, or its base alone, is on a file of samples."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from analyzer.eigenvalues import choose_device
from analyzer.text import listed, shown
from trainer.assessment import Assessment
from trainer.dataset.sums import sum_of
from trainer.dataset.whole import Whole, whole
from trainer.errors import BadAdapter, ModelMismatch, NotMeasurable
from trainer.evaluate import Evaluation, Generation, evaluate, evaluate_labels
from trainer.exports.adapter import load as load_adapter
from trainer.exports.adapter import read_any
from trainer.exports.base import load_tokenizer, quantised, read_config
from trainer.exports.losses import longest_of
from trainer.exports.places import Place, find
from trainer.finetune.base import Loaded, load, weights_of
from trainer.origin import ORIGIN, Origin, read_origin
from trainer.recipe import Base

LENGTH = 512
"""Tokens of a sample at most, where an adapter does not say what it was trained with."""

_HEADS = {"CAUSAL_LM": False, None: False, "SEQ_CLS": True}


@dataclass(frozen=True)
class _Saved:
    """An adapter as it lies in its folder."""

    place: Place
    config: Any
    origin: Origin | None
    head: bool
    """Whether it has a head for classes."""

    @property
    def labels(self) -> tuple[str, ...] | None:
        if not self.head:
            return None
        if self.origin is None or self.origin.labels is None:
            raise BadAdapter(
                f"{shown(self.place.name)} has a head for classes and does not say which they are "
                f"(no {ORIGIN}); train it with `tailora train`, which writes it"
            )
        return self.origin.labels


def assess(
    adapter: str,
    data: str,
    *,
    base: str | None = None,
    base_only: bool = False,
    exact_match: int = 0,
    new_tokens: int = 128,
    draws: int = 1,
    batch: int = 8,
    length: int | None = None,
    device: str = "auto",
) -> Assessment:
    """Measure an adapter (its folder, the run that it is of, or a Hub id) on every row of `data`.

    `base` replaces the base model that the adapter names; `base_only` measures that alone.
    `exact_match` answers are generated, of `new_tokens` at most. `length` is that of training
    unless given. Raises InvalidData, BadAdapter, ModelMismatch, NotMeasurable; NotExportable for a
    base without a tokenizer; ModelNotFound, HubUnavailable, BadModel and InvalidOption.
    """
    saved = _read(adapter)
    labels = saved.labels
    wanted = _base_of(saved, base)
    place = find(f"{wanted.path}@{wanted.revision}" if wanted.revision else wanted.path)
    trained = LENGTH if saved.origin is None else saved.origin.length
    cut = min(filter(None, (length or trained, longest_of(read_config(place)))))
    task: Literal["classification"] | None = "classification" if saved.head else None
    held_out = whole(data, load_tokenizer(place), cut, task=task, labels=labels)
    warnings = _warnings(wanted, place)
    loaded = load(place, wanted, task or "language", labels)
    _check_head(saved, loaded, base_only)
    model = loaded.model
    if not quantised(model.config):
        model.to(choose_device(device))
    _check_ids(model, held_out, place)
    if not base_only:
        model = load_adapter(model, saved.place)
    prompts = held_out.prompts(exact_match) if exact_match else []
    generation = Generation(prompts, loaded.tokenizer, new_tokens)
    pad_id = loaded.tokenizer.pad_token_id
    return Assessment(
        adapter=adapter,
        base=place.name,
        base_only=base_only,
        data=data,
        data_sum=sum_of(data),
        form=held_out.form,
        length=cut,
        labels=held_out.labels,
        classes_by=None if held_out.labels is None else "head" if saved.head else "likelihood",
        report=held_out.report,
        evaluation=_measure(model, held_out, pad_id, batch, generation, draws),
        warnings=warnings,
    )


def _measure(
    model: Any, held_out: Whole, pad_id: int, batch: int, generation: Generation, draws: int
) -> Evaluation:
    if not held_out.samples:
        return evaluate_labels(model, held_out.questions, pad_id, batch, draws=draws)
    return evaluate(
        model, held_out.samples, pad_id, batch,
        questions=held_out.questions, generation=generation, draws=draws,
    )  # fmt: skip


def _read(adapter: str) -> _Saved:
    folder = Path(adapter).expanduser()
    if (folder / "recipe.json").is_file():
        if not (folder / "adapter").is_dir():
            raise BadAdapter(
                f"{shown(adapter)} is a run without an adapter yet; let `tailora train` end it"
            )
        adapter = str(folder / "adapter")
    elif folder.is_dir() and not (folder / "adapter_config.json").is_file():
        raise BadAdapter(
            f"{shown(adapter)} is no adapter and no run: it has neither adapter_config.json nor "
            "recipe.json; pass the folder that `tailora train` or save_pretrained wrote"
        )
    place = find(adapter)
    config = read_any(place)
    kind = getattr(config.task_type, "value", config.task_type)
    if kind not in _HEADS:
        raise NotMeasurable(
            f"{shown(adapter)} is an adapter for {shown(kind)}; what can be measured are causal "
            "language models and classifiers of sequences"
        )
    return _Saved(place, config, read_origin(place.folder), _HEADS[kind])


def _base_of(saved: _Saved, base: str | None) -> Base:
    known = Base(path="", weights=()) if saved.origin is None else saved.origin.base
    if base is not None:
        return known.model_copy(update={"path": base, "revision": None})
    if known.path:
        return known
    named = saved.config.base_model_name_or_path
    if not named:
        raise BadAdapter(f"{shown(saved.place.name)} does not say its base model; give --model")
    return known.model_copy(update={"path": named, "revision": saved.config.revision})


def _warnings(base: Base, place: Place) -> tuple[str, ...]:
    if not base.weights or weights_of(place) == base.weights:
        return ()
    return (f"the weights of {shown(place.name)} are not those that the adapter was trained on",)


def _check_head(saved: _Saved, loaded: Loaded, base_only: bool) -> None:
    if not loaded.new:
        return
    if base_only:
        raise NotMeasurable(
            f"the base has no trained {listed(list(loaded.new))}: its classes would be random; "
            "leave --base-only out"
        )
    kept = saved.config.modules_to_save or ()
    if lost := [name for name in loaded.new if name.rpartition(".")[2] not in kept]:
        raise BadAdapter(
            f"neither {shown(saved.place.name)} nor its base holds {listed(lost)}; train anew"
        )


def _check_ids(model: Any, held_out: Whole, place: Place) -> None:
    rows = [sample.input_ids for sample in held_out.samples]
    rows += [answer.ids for question in held_out.questions for answer in question.answers]
    largest, known = max(map(max, rows)), model.get_input_embeddings().weight.shape[0]
    if largest >= known:
        raise ModelMismatch(
            f"the tokenizer of {shown(place.name)} makes token {largest}, and the model knows "
            f"{known}; take the tokenizer that belongs to it"
        )
