"""From a recipe to a trained adapter, in a folder that a run can go on from."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any, Literal, NamedTuple

import torch
import transformers
from accelerate import PartialState
from pydantic import BaseModel, ConfigDict

from analyzer.text import shown
from trainer.dataset.collate import Collate, CollatePacked
from trainer.dataset.prepare import Prepared, prepare
from trainer.dataset.sums import sums_of
from trainer.errors import InvalidRecipe
from trainer.evaluate import Evaluation
from trainer.exports.base import load_tokenizer
from trainer.exports.places import Place, find, new_folder
from trainer.finetune import sharded
from trainer.finetune.adapt import adapt
from trainer.finetune.base import check_weights, load
from trainer.finetune.checkpoints import last_whole
from trainer.finetune.files import replace_text
from trainer.finetune.held_out import HeldOut
from trainer.finetune.limits import disk_is_told
from trainer.finetune.loop import Loop, arguments_of
from trainer.finetune.metrics import Metrics
from trainer.finetune.packed import keep_apart
from trainer.finetune.prompt import check_classes
from trainer.origin import save_origin
from trainer.recipe import Recipe

RECIPE, REPORT, BEFORE, METRICS, RESULT, ADAPTER = (
    "recipe.json", "report.json", "before.json", "metrics.jsonl", "result.json", "adapter",
)  # fmt: skip
Say = Callable[[str], None]


def _nothing(line: str) -> None:
    """Nobody listens."""


class Trained(BaseModel):
    """What a run came to."""

    model_config = ConfigDict(frozen=True)

    status: Literal["finished", "stopped"]
    steps: int
    before: Evaluation
    after: Evaluation | None = None
    """None where the run was stopped."""

    trainable_parameters: int | None = None
    """Numbers that are trained, those of a new head included."""


def finetune(
    recipe: Recipe, out: Path, say: Say = _nothing, *, fsdp: bool = False, steps: bool = True
) -> Trained:
    """Train an adapter into `out/adapter`; a run of the same recipe in `out` goes on.

    Under torchrun all processes call it; with `fsdp` they share the base's weights. `say` is told
    of `steps` too, unless they are read from `out/metrics.jsonl`.

    Everything that can be known is checked before the first step: the base's files against the
    plan, the data (a report of which goes to `say`), shapes and sizes. Raises InvalidRecipe where
    `out` holds something else, InvalidData, ModelMismatch, TrainingStopped, and what `find` and
    loading a model raise.
    """
    fsdp = sharded.asked_for(fsdp)
    processes = PartialState(cpu=not torch.cuda.is_available())
    if fsdp:
        sharded.check(processes.num_processes, recipe.base.quantisation, recipe.mixture.kind)
    say = say if processes.is_main_process else _nothing
    with processes.main_process_first():
        done = _begin(recipe, out)
    if done is not None:
        return done
    place = _place(recipe)
    check_weights(place, recipe.plan)
    prepared = prepare(recipe.data, load_tokenizer(place), task=recipe.task)
    reports = {"train": prepared.report, "held_out": prepared.held_out_report}
    for line in (line for report in reports.values() if report for line in report.lines()):
        say(line)
    written = {name: report and report.model_dump(mode="json") for name, report in reports.items()}
    if processes.is_main_process:
        replace_text(out / REPORT, json.dumps(written, indent=2) + "\n")
    metrics = Metrics(out / METRICS, say if steps else _nothing)
    return _train(_Run(recipe, out, processes, fsdp, say), place, prepared, metrics)


class _Run(NamedTuple):
    recipe: Recipe
    out: Path
    processes: PartialState
    fsdp: bool
    say: Say


def _train(run: _Run, place: Place, prepared: Prepared, metrics: Metrics) -> Trained:
    transformers.set_seed(run.recipe.seed)
    model, tokenizer = _adapted(run, place, prepared)
    held_out = HeldOut(run.recipe, prepared, tokenizer)
    before = held_out.before(model, run.out / BEFORE, run.processes)
    run.say(f"before training: {_words(before)}")
    loop = _loop(run, model, tokenizer, prepared, metrics)
    steps = _go(loop, _checkpoint(run, metrics))
    if steps < loop.args.max_steps:
        return Trained(status="stopped", steps=steps, before=before)
    after = held_out.measure(model)
    run.say(f"after {steps} steps: {_words(after)}")
    trainable = sum(each.numel() for each in model.parameters() if each.requires_grad)
    trained = Trained(
        status="finished", steps=steps, before=before, after=after, trainable_parameters=trainable
    )
    if run.processes.is_main_process:
        _keep(run, model, tokenizer, prepared, trained)
    run.processes.wait_for_everyone()
    return trained


def _adapted(run: _Run, place: Place, prepared: Prepared) -> tuple[Any, Any]:
    """The model with an adapter to train, where it will be trained, and its tokenizer."""
    recipe = run.recipe
    loaded = load(place, recipe.base, prepared.task, prepared.labels)
    model: Any = adapt(loaded, recipe)
    model.peft_config["default"].base_model_name_or_path = place.name
    if run.fsdp:
        held = sharded.shard(model, run.processes.device)
        run.say(f"the base is sharded: {held / 1e6:,.3f} MB of it on this process")
    elif recipe.base.quantisation == "none":
        model.to(run.processes.device)
    _check_inputs(model, recipe)
    return model, loaded.tokenizer


def _loop(run: _Run, model: Any, tokenizer: Any, prepared: Prepared, metrics: Metrics) -> Loop:
    rows = prepared.train if prepared.packed is None else prepared.packed
    collate = Collate if prepared.packed is None else CollatePacked
    number, samples = run.processes.num_processes, len(rows)
    return Loop(
        run.recipe,
        metrics,
        model=model,
        args=arguments_of(run.recipe, run.out, processes=number, samples=samples),
        data_collator=collate(tokenizer.pad_token_id),
        train_dataset=list(rows),
        processing_class=tokenizer,
    )


def _checkpoint(run: _Run, metrics: Metrics) -> Path | None:
    """What the run goes on from; metrics of later steps are taken away."""
    with run.processes.main_process_first():
        checkpoint = last_whole(run.out)
    if run.processes.is_main_process:
        metrics.go_on_from(_step_of(checkpoint))
    if checkpoint is not None:
        run.say(f"going on from {checkpoint.name}")
    return checkpoint


def _keep(run: _Run, model: Any, tokenizer: Any, prepared: Prepared, trained: Trained) -> None:
    adapter = run.out / ADAPTER
    shutil.rmtree(adapter, ignore_errors=True)  # of a run that ended before its result
    with disk_is_told("the adapter", run.out), new_folder(adapter) as draft:
        model.save_pretrained(draft)
        tokenizer.save_pretrained(draft)
        save_origin(draft, run.recipe, prepared.labels)
    replace_text(run.out / RESULT, trained.model_dump_json(indent=2) + "\n")


def _check_inputs(model: Any, recipe: Recipe) -> None:
    """See that the model can be given what this recipe gives it. Raises ModelMismatch."""
    if recipe.data.packing:
        keep_apart(model)
    elif recipe.mixture.kind == "prompt" and recipe.task == "classification":
        check_classes(model)


def _go(loop: Loop, checkpoint: Path | None) -> int:
    """Train to the end, or to a signal; the steps made. A checkpoint may be of the last step."""
    reached = _step_of(checkpoint)
    if checkpoint is not None and reached >= loop.args.max_steps:
        loop._load_from_checkpoint(str(checkpoint))
        return reached
    try:
        loop.train(resume_from_checkpoint=None if checkpoint is None else str(checkpoint))
    finally:
        loop.stopping.put_back()
    return int(loop.state.global_step)


def _begin(recipe: Recipe, out: Path) -> Trained | None:
    """Make the folder, or see that it is of this recipe; the result, where the run has ended."""
    file = out / RECIPE
    _check(recipe)
    if not out.exists() or all(path.name == f".{RECIPE}" for path in out.iterdir()):
        out.mkdir(parents=True, exist_ok=True)
        replace_text(file, recipe.to_json() + "\n")
        return None
    try:
        before = Recipe.model_validate_json(file.read_bytes())
    except (OSError, ValueError) as error:
        raise InvalidRecipe(f"{shown(out)} holds no run; choose another --out") from error
    if before.digest != recipe.digest:
        raise InvalidRecipe(
            f"{shown(out)} holds a run of another recipe; choose another --out, or remove it"
        )
    if (out / RESULT).is_file():
        return Trained.model_validate_json((out / RESULT).read_bytes())
    return None


def _check(recipe: Recipe) -> None:
    data = recipe.data
    if sums_of(data.train, data.held_out) != data.sums:
        raise InvalidRecipe(
            f"{shown(data.train)} (or what is held out) has changed since the recipe was made; "
            "make the recipe anew"
        )


def _place(recipe: Recipe) -> Place:
    base = recipe.base
    return find(f"{base.path}@{base.revision}" if base.revision else base.path)


def _step_of(checkpoint: Path | None) -> int:
    if checkpoint is None:
        return 0
    return int(json.loads((checkpoint / "trainer_state.json").read_bytes())["global_step"])


def _words(found: Evaluation) -> str:
    accuracy = "" if found.accuracy is None else f", accuracy {found.accuracy:.3f}"
    return f"loss {found.loss:.4f}{accuracy} on {found.samples:,} held-out samples"
