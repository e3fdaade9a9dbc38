"""Hugging Face's Trainer, with what mixtures and interruptions need."""

import dataclasses
import shutil
import signal
import threading
from contextlib import nullcontext
from pathlib import Path
from types import FrameType
from typing import Any

import torch
import transformers
from torch import Tensor, nn

from trainer.errors import TrainingStopped
from trainer.finetune.checkpoints import rotate, seal
from trainer.finetune.limits import disk_is_told, memory_is_told
from trainer.finetune.metrics import Metrics
from trainer.finetune.prompt import load_trained, save_trained
from trainer.finetune.sharded import averaged, is_sharded
from trainer.finetune.signals import Heard
from trainer.mixture import Mixture
from trainer.recipe import Recipe, Schedule
from trainer.tuner.facts import step_of

_SHAPES = {"linear": "linear", "constant": "constant_with_warmup", "cosine": "cosine"}


class Loop(transformers.Trainer):
    """A training loop over mixtures: the balance loss is that of the step, a checkpoint is whole or
    not there, a loss that is no number ends the run, and a signal ends it after a checkpoint.
    """

    def __init__(self, recipe: Recipe, metrics: Metrics, **words: Any) -> None:
        """`words` are those of transformers.Trainer."""
        self.stopping = Stopping()
        self._sharded = is_sharded(words["model"])
        super().__init__(callbacks=[metrics, self.stopping, Finite()], **words)
        self.remove_callback(transformers.PrinterCallback)
        self.recipe, self.metrics = recipe, metrics
        self._prompted = recipe.mixture.kind == "prompt"
        if recipe.task == "classification":
            self.model_accepts_loss_kwargs = (
                False  # heads take them, and return a mean all the same
            )
        mixed = any(isinstance(module, Mixture) for module in self.model.modules())
        self._step = step_of(self.model) if mixed else None

    def train(self, *arguments: Any, **words: Any) -> Any:
        """Train. Raises TrainingStopped where memory runs out, in whatever part of a step."""
        with memory_is_told(self.recipe, lambda: f"at step {self.state.global_step + 1}"):
            return super().train(*arguments, **words)

    def training_step(
        self, model: nn.Module, inputs: dict[str, Any], num_items_in_batch: Any = None
    ) -> Tensor:
        """One micro-batch: a pass with its backward pass for each draw of masks; their mean loss.

        Raises TrainingStopped where it is no number.
        """
        draws = self.recipe.mixture.mask_draws
        if self._step is not None:
            self._step.begin(micro_batches=self.current_gradient_accumulation_steps * draws)
        self.metrics.see(inputs)
        losses = []
        for number in range(draws):
            last = number == draws - 1
            with nullcontext() if last else self.accelerator.no_sync(model):
                losses.append(super().training_step(model, dict(inputs), num_items_in_batch))
        loss = torch.stack(losses).sum()
        if not torch.isfinite(loss):
            raise TrainingStopped(
                f"the loss is {loss.item()} at step {self.state.global_step + 1}; take a smaller "
                "optimiser.learning_rate, or base.precision=float32; the last checkpoint is kept"
            )
        return loss

    def compute_loss(
        self, model: nn.Module, inputs: dict[str, Any], *arguments: Any, **words: Any
    ) -> Any:
        """While training, the share of one draw of masks in the mean over all."""
        loss = super().compute_loss(model, inputs, *arguments, **words)
        return loss / self.recipe.mixture.mask_draws if model.training else loss

    def _save(self, output_dir: str | None = None, state_dict: Any = None) -> None:
        super()._save(output_dir, state_dict)
        if self._prompted and self.args.should_save:
            save_trained(self.model, Path(output_dir or self.args.output_dir))

    def _load_from_checkpoint(
        self, resume_from_checkpoint: str, model: nn.Module | None = None
    ) -> None:
        if self._prompted:  # PEFT reads no prompt back to train it on, and it is no factor
            load_trained(self.model, Path(resume_from_checkpoint))
        else:
            super()._load_from_checkpoint(resume_from_checkpoint, model)

    def _move_model_to_device(self, model: nn.Module, device: torch.device) -> None:
        if not self._sharded:  # or it is where it belongs
            super()._move_model_to_device(model, device)

    def _wrap_model(self, model: nn.Module, training: bool = True, *rest: Any) -> nn.Module:
        if training and self._sharded and model is self.model:
            return averaged(model)  # accelerate takes no DDP of models with DTensors
        wrapped: nn.Module = super()._wrap_model(model, training, *rest)
        return wrapped

    def _save_checkpoint(self, model: nn.Module, trial: Any) -> None:
        run = Path(self.args.output_dir)
        folder = run / f"checkpoint-{self.state.global_step}"
        try:
            with disk_is_told(f"the checkpoint of step {self.state.global_step}", run):
                super()._save_checkpoint(model, trial)
                self.accelerator.wait_for_everyone()
                if self.args.should_save:
                    seal(folder)
                    rotate(run, self.recipe.checkpoints.keep)
        except TrainingStopped:
            shutil.rmtree(folder, ignore_errors=True)
            raise


class Finite(transformers.TrainerCallback):
    """Ends a run before a gradient that is no number gets into the weights."""

    def on_pre_optimizer_step(
        self, args: Any, state: Any, control: Any, model: Any = None, **_: Any
    ) -> None:
        """Raise TrainingStopped, with the step."""
        gradients = [p.grad for p in model.parameters() if p.grad is not None]
        if not torch.isfinite(torch.nn.utils.get_total_norm(gradients)):
            raise TrainingStopped(
                f"a gradient is not finite at step {state.global_step + 1}; take a smaller "
                "optimiser.learning_rate, or base.precision=float32; the last checkpoint is kept"
            )


class Stopping(transformers.TrainerCallback):
    """SIGTERM and SIGINT end a run after the step that is under way, with a checkpoint."""

    def __init__(self) -> None:
        """Not asked to yet."""
        self.asked = False
        self._before: dict[int, Any] = {}

    def on_train_begin(self, *_: Any, **__: Any) -> None:
        """Listen."""
        if threading.current_thread() is threading.main_thread():
            for number in (signal.SIGTERM, signal.SIGINT):
                self._before[number] = before = signal.signal(number, self._ask)
                self.asked |= isinstance(before, Heard) and before.asked

    def on_step_end(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        """Save and stop, where that was asked for."""
        asked = self.asked
        if args.world_size > 1:  # all processes stop after the same step
            flag = torch.tensor(float(asked), device=args.device)
            torch.distributed.all_reduce(flag, torch.distributed.ReduceOp.MAX)
            asked = bool(flag)
        if asked:
            control.should_save = control.should_training_stop = True

    def put_back(self) -> None:
        """Listen no more; to be called however the run ends."""
        while self._before:
            signal.signal(*self._before.popitem())

    def _ask(self, number: int, frame: FrameType | None) -> None:
        self.asked = True
        if isinstance(before := self._before.get(number), Heard):
            before(number, frame)


def arguments_of(recipe: Recipe, out: Path, *, processes: int, samples: int) -> Any:
    """The TrainingArguments of a recipe. Raises TrainingStopped where the batch does not divide."""
    schedule, optimiser = recipe.schedule, recipe.optimiser
    accumulated, rest = divmod(schedule.batch, schedule.micro_batch * processes)
    if rest or not accumulated:
        raise TrainingStopped(
            f"schedule.batch is {schedule.batch}: no multiple of schedule.micro_batch "
            f"({schedule.micro_batch}) times {processes} processes; change one of them"
        )
    steps = schedule.steps or max(1, round(schedule.epochs * samples / schedule.batch))
    names = {field.name for field in dataclasses.fields(transformers.TrainingArguments)}
    recomputed = "activation" if "activation_checkpointing" in names else "gradient"
    words: dict[str, Any] = {
        f"{recomputed}_checkpointing": recipe.checkpointing,
        "output_dir": str(out),
        "per_device_train_batch_size": schedule.micro_batch,
        "per_device_eval_batch_size": schedule.micro_batch,
        "gradient_accumulation_steps": accumulated,
        "max_steps": steps,
        "learning_rate": optimiser.learning_rate,
        "weight_decay": optimiser.weight_decay,
        "adam_beta1": optimiser.beta1,
        "adam_beta2": optimiser.beta2,
        "adam_epsilon": optimiser.epsilon,
        "max_grad_norm": optimiser.largest_gradient,
        "lr_scheduler_type": _SHAPES[schedule.shape],
        "warmup_steps": _warmup(schedule, steps),
        "logging_steps": max(1, min(10, steps // 10)),
        "logging_nan_inf_filter": False,
        "eval_strategy": "no",
        "save_strategy": "steps",
        "save_steps": recipe.checkpoints.every,
        "save_total_limit": None,
        "seed": recipe.seed,
        "data_seed": recipe.seed,
        "report_to": [],
        "disable_tqdm": True,
        "remove_unused_columns": False,
        "ddp_find_unused_parameters": False,
        "dataloader_pin_memory": torch.cuda.is_available(),
        "use_cpu": not torch.cuda.is_available(),
    }
    found = transformers.TrainingArguments(**words)
    if found.n_gpu > 1:  # or the Trainer would make threads of them; torchrun makes processes
        found._n_gpu = 1
    return found


def _warmup(schedule: Schedule, steps: int) -> int:
    if schedule.warmup_share is not None:
        return round(schedule.warmup_share * steps)
    return min(schedule.warmup_steps, steps // 2)
